package projection

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/projection/atomicdir"
)

// Volume returns the files of a volume of pod, or no file and the error of [Build].
func Volume(pod *corev1.Pod, v *corev1.Volume, s Sources) (atomicdir.Tree, error) {
	built, err := Build(pod, v, s)
	if err != nil {
		return atomicdir.Tree{}, err
	}
	return built.Tree, nil
}

// Built is what Build made of a volume.
type Built struct {
	// Tree is the whole volume; beside an error only its credentials.
	Tree atomicdir.Tree
	// Credentials holds the cleaned paths of those files of Tree whose bytes are a
	// token or certificate, and not those of a source that came later.
	Credentials map[string]bool
}

// Build returns the files of a volume of pod. The error of a projected volume names
// every source that failed.
//
// Beside an error comes what [Built.Renew] needs so that running containers get fresh
// credentials meanwhile: the files of those tokens that could be had, without any
// other file.
//
// Owners: an item's user counts before the volume's defaultUser (KEP-5936); zero is
// root. A token that neither says anything about belongs to the user that all
// containers run as, if there is one (see [FSUser]), and is then private (0600). The
// pod's fsGroup, if set, gets every file and may read it: a token is private, and 0440
// is added to the mode of all files.
func Build(pod *corev1.Pod, v *corev1.Volume, s Sources) (Built, error) {
	p := projector{pod: pod, sources: s, files: map[string]atomicdir.File{}, credentials: map[string]bool{}}
	err := p.volume(v)
	if err != nil {
		maps.DeleteFunc(p.files, func(path string, _ atomicdir.File) bool { return !p.credentials[path] })
	}
	return Built{Tree: p.tree(), Credentials: p.credentials}, err
}

// Renew returns published, the tree that a volume shows, with its credentials replaced
// by those of b, for when the rest of b shall not or cannot be shown. Only files that
// credentials (see [Built.Credentials] of what was published, or [CredentialPaths])
// holds are replaced; none is added or removed.
func (b Built) Renew(published atomicdir.Tree, credentials map[string]bool) atomicdir.Tree {
	fresh := make(map[string]atomicdir.File, len(b.Credentials))
	for _, f := range b.Tree.Files {
		if b.Credentials[f.Path] && credentials[f.Path] {
			fresh[f.Path] = f
		}
	}
	merged := atomicdir.Tree{Group: published.Group, Files: slices.Clone(published.Files)}
	for i, f := range merged.Files {
		if file, ok := fresh[f.Path]; ok {
			merged.Files[i] = file
		}
	}
	return merged
}

// CredentialPaths returns the cleaned paths at which a complete v shows a token,
// whatever its other sources hold. It leaves out a path that a later source might
// take: for a volume whose [Built.Credentials] are not known any more.
func CredentialPaths(v *corev1.Volume) map[string]bool {
	paths := map[string]bool{}
	if v.Projected == nil {
		return paths
	}
	for i := range v.Projected.Sources {
		s := &v.Projected.Sources[i]
		if s.ServiceAccountToken != nil {
			paths[cleanPath(s.ServiceAccountToken.Path)] = true
			continue
		}
		maps.DeleteFunc(paths, func(path string, _ bool) bool { return mayShow(s, path) })
	}
	return paths
}

// mayShow tells whether a source of content may have a file at path.
func mayShow(s *corev1.VolumeProjection, path string) bool {
	keys := func(items []corev1.KeyToPath) bool {
		return len(items) == 0 && !strings.Contains(path, "/") || slices.ContainsFunc(items, func(i corev1.KeyToPath) bool { return cleanPath(i.Path) == path })
	}
	return s.Secret != nil && keys(s.Secret.Items) ||
		s.ConfigMap != nil && keys(s.ConfigMap.Items) ||
		s.DownwardAPI != nil && slices.ContainsFunc(s.DownwardAPI.Items,
			func(i corev1.DownwardAPIVolumeFile) bool { return cleanPath(i.Path) == path })
}
