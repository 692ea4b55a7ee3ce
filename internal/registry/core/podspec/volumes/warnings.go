package volumes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Warnings returns what is allowed in volumes, which are at path, and still likely a
// mistake.
func Warnings(list []corev1.Volume, path *field.Path) []string {
	var texts []string
	for i := range list {
		for _, d := range retired(&list[i]) {
			texts = append(texts, path.Index(i).Child(d.name).String()+": "+d.message)
		}
	}
	for i := range list {
		texts = append(texts, overlaps(&list[i])...)
	}
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

// overlaps warns of files of one volume that have one path, or of which one would have
// to be a directory of the other: validation does not refuse them all, and one hides the
// other.
func overlaps(v *corev1.Volume) []string {
	var texts []string
	warn := func(source string, files []plannedFile) {
		for _, text := range collisions(files) {
			texts = append(texts, fmt.Sprintf("volume %q (%s): overlapping paths: %s", v.Name, source, text))
		}
	}
	if s := v.ConfigMap; s != nil {
		warn(fmt.Sprintf("ConfigMap %q", s.Name), filesOfItems(s.Items, ""))
	}
	if s := v.Secret; s != nil {
		warn(fmt.Sprintf("Secret %q", s.SecretName), filesOfItems(s.Items, ""))
	}
	if s := v.DownwardAPI; s != nil {
		warn("DownwardAPI", filesOfPod(s.Items, ""))
	}
	if s := v.Projected; s != nil {
		if len(s.Sources) == 0 {
			texts = append(texts, noSources(v.Name))
		}
		var files []plannedFile
		for i := range s.Sources {
			if s.Sources[i] == (corev1.VolumeProjection{}) {
				texts = append(texts, noSources(v.Name))
				continue
			}
			files = append(files, filesOfSource(&s.Sources[i])...)
		}
		warn("Projected", files)
	}
	return texts
}

func noSources(volume string) string {
	return fmt.Sprintf("volume %q (Projected) has no sources provided", volume)
}

// plannedFile is a file that a volume is to have: its path, and where its content comes
// from, "" where the volume has one source only.
type plannedFile struct{ path, source string }

func (f plannedFile) String() string {
	if f.source == "" {
		return strconv.Quote(f.path)
	}
	return fmt.Sprintf("%q (%s)", f.path, f.source)
}

// maxCollisions bounds what is said of one volume: the pairs grow with the square of
// the files.
const maxCollisions = 100

// collisions names pairs of files that cannot be both, the later one first, in the order
// of the files. The time that it takes does not grow with the square of their number.
func collisions(files []plannedFile) []string {
	keys := make([]string, len(files))
	order := make([]int, 0, len(files))
	for i := range files {
		files[i].path = strings.TrimRight(files[i].path, "/")
		keys[i] = files[i].path + "/"
		if files[i].path != "" {
			order = append(order, i)
		}
	}
	// With a slash behind each, what lies at or below a path follows it at once.
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(keys[a], keys[b]) })
	pairs := nested(order, keys)
	slices.SortFunc(pairs, func(a, b [2]int) int { return slices.Compare(a[:], b[:]) })
	var texts []string
	for _, p := range pairs {
		texts = append(texts, files[p[0]].String()+" with "+files[p[1]].String())
	}
	return texts
}

// nested returns pairs of keys of which one begins with the other, maxCollisions at
// most, the higher index first. order has the indexes in the order of the keys.
func nested(order []int, keys []string) [][2]int {
	var pairs [][2]int
	var open []int // those that the key looked at begins with
	for _, i := range order {
		for len(open) > 0 && !strings.HasPrefix(keys[i], keys[open[len(open)-1]]) {
			open = open[:len(open)-1]
		}
		for _, j := range open {
			if pairs = append(pairs, [2]int{max(i, j), min(i, j)}); len(pairs) == maxCollisions {
				return pairs
			}
		}
		open = append(open, i)
	}
	return pairs
}

func filesOfItems(items []corev1.KeyToPath, source string) []plannedFile {
	var files []plannedFile
	for _, item := range items {
		files = append(files, plannedFile{item.Path, source})
	}
	return files
}

func filesOfPod(items []corev1.DownwardAPIVolumeFile, source string) []plannedFile {
	var files []plannedFile
	for _, item := range items {
		files = append(files, plannedFile{item.Path, source})
	}
	return files
}

func filesOfSource(s *corev1.VolumeProjection) []plannedFile {
	switch {
	case s.ConfigMap != nil:
		return filesOfItems(s.ConfigMap.Items, fmt.Sprintf("ConfigMap %q", s.ConfigMap.Name))
	case s.Secret != nil:
		return filesOfItems(s.Secret.Items, fmt.Sprintf("Secret %q", s.Secret.Name))
	case s.DownwardAPI != nil:
		return filesOfPod(s.DownwardAPI.Items, "DownwardAPI")
	case s.ServiceAccountToken != nil:
		return []plannedFile{{s.ServiceAccountToken.Path, "ServiceAccountToken"}}
	case s.ClusterTrustBundle != nil:
		return []plannedFile{{s.ClusterTrustBundle.Path, fmt.Sprintf("ClusterTrustBundle %q", bundleName(s.ClusterTrustBundle))}}
	case s.PodCertificate != nil:
		return []plannedFile{
			{s.PodCertificate.CertificateChainPath, "PodCertificate chain"}, {s.PodCertificate.KeyPath, "PodCertificate key"},
			{s.PodCertificate.CredentialBundlePath, "PodCertificate credential bundle"},
		}
	}
	return nil
}

// bundleName is what a source of trust anchors is asked for by, "" for one that says
// neither.
func bundleName(s *corev1.ClusterTrustBundleProjection) string {
	switch {
	case s.Name != nil:
		return *s.Name
	case s.SignerName != nil:
		return *s.SignerName
	}
	return ""
}
