package volumes

import (
	"fmt"
	"iter"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Warnings returns what is allowed in volumes, which are at path, and still likely a
// mistake.
func Warnings(list []corev1.Volume, path *field.Path) []string {
	var texts []string
	add := func(at *field.Path, text string) { texts = append(texts, at.String()+": "+text) }
	for i := range list {
		for _, d := range retired(&list[i]) {
			add(path.Index(i).Child(d.name), d.message)
		}
	}
	sharedWithTokens(list, path, func(at *field.Path, file string) {
		add(at, fmt.Sprintf("has duplicated path with ServiceAccountToken %q", file))
	})
	return texts
}

// retirement tells since when a kind of volume is to be used no more.
type retirement struct{ name, message string }

// retired returns the members of a volume that Kubernetes has deprecated.
func retired(v *corev1.Volume) []retirement {
	var found []retirement
	for _, d := range []struct {
		set bool
		retirement
	}{
		{v.PhotonPersistentDisk != nil, retirement{"photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"}},
		{v.GitRepo != nil, retirement{"gitRepo", "deprecated in v1.11"}},
		{v.ScaleIO != nil, retirement{"scaleIO", "deprecated in v1.16, non-functional in v1.22+"}},
		{v.Flocker != nil, retirement{"flocker", "deprecated in v1.22, non-functional in v1.25+"}},
		{v.StorageOS != nil, retirement{"storageOS", "deprecated in v1.22, non-functional in v1.25+"}},
		{v.Quobyte != nil, retirement{"quobyte", "deprecated in v1.22, non-functional in v1.25+"}},
		{v.Glusterfs != nil, retirement{"glusterfs", "deprecated in v1.25, non-functional in v1.26+"}},
		{v.CephFS != nil, retirement{"cephfs", "deprecated in v1.28, non-functional in v1.31+"}},
		{v.RBD != nil, retirement{"rbd", "deprecated in v1.28, non-functional in v1.31+"}},
	} {
		if d.set {
			found = append(found, d.retirement)
		}
	}
	return found
}

// sharedWithTokens reports files with the path of a projected token: validation does
// not refuse them, and one hides the other.
func sharedWithTokens(list []corev1.Volume, path *field.Path, report func(at *field.Path, file string)) {
	tokens := map[string]bool{}
	for s := range sources(list) {
		if s.ServiceAccountToken != nil {
			tokens[s.ServiceAccountToken.Path] = true
		}
	}
	check := func(at *field.Path, file string) {
		if tokens[file] {
			report(at, file)
		}
	}
	for s, i := range sources(list) {
		checkFiles(s, path.Index(i), check)
	}
}

// sources yields the sources of all projected volumes with the index of their volume.
func sources(list []corev1.Volume) iter.Seq2[*corev1.VolumeProjection, int] {
	return func(yield func(*corev1.VolumeProjection, int) bool) {
		for i := range list {
			if list[i].Projected == nil {
				continue
			}
			for j := range list[i].Projected.Sources {
				if !yield(&list[i].Projected.Sources[j], i) {
					return
				}
			}
		}
	}
}

func checkFiles(s *corev1.VolumeProjection, at *field.Path, check func(path *field.Path, file string)) {
	if s.ConfigMap != nil {
		for j, item := range s.ConfigMap.Items {
			check(at.Child("projected", "sources", "configMap").Index(j), item.Path)
		}
	}
	if s.Secret != nil {
		for j, item := range s.Secret.Items {
			check(at.Child("projected", "sources", "secrets").Index(j), item.Path)
		}
	}
	if s.DownwardAPI != nil {
		for j, item := range s.DownwardAPI.Items {
			check(at.Child("projected", "sources", "downwardAPI").Index(j), item.Path)
		}
	}
	if s.ClusterTrustBundle != nil {
		check(at.Child("projected", "sources", "ClusterTrustBundle"), s.ClusterTrustBundle.Path)
	}
}
