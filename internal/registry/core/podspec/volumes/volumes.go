// Package volumes has the rules and defaults of the volumes of a pod spec. How a container
// mounts them is checked by the package containers; how their content is made is
// internal/volumes'.
package volumes

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

// Options says where volumes stand.
type Options struct {
	// PodName is the name of the pod, "" where it is not known. Claims of
	// generic ephemeral volumes are named after it.
	PodName string
	// AnyTokenPath accepts paths of projected tokens that leave the volume,
	// for pods that were stored with one.
	AnyTokenPath bool
}

// Validate returns what is wrong with volumes, and those that are right, by name, for
// checking mounts.
func Validate(volumes []corev1.Volume, path *field.Path, o Options) (map[string]*corev1.VolumeSource, field.ErrorList) {
	var errs field.ErrorList
	created := createdClaims(volumes, o)
	right := map[string]*corev1.VolumeSource{}
	for i := range volumes {
		v, at := &volumes[i], path.Index(i)
		wrong := validateVolumeSource(v, at, o)
		if v.Name == "" {
			wrong = append(wrong, field.Required(at.Child("name"), ""))
		} else {
			wrong = append(wrong, check.DNSLabel(v.Name, at.Child("name"))...)
		}
		if right[v.Name] != nil {
			wrong = append(wrong, field.Duplicate(at.Child("name"), v.Name))
		}
		if len(wrong) == 0 {
			right[v.Name] = &v.VolumeSource
		}
		errs = append(errs, wrong...)
		if claim := v.PersistentVolumeClaim; claim != nil && created[claim.ClaimName] {
			errs = append(errs, field.Invalid(at.Child("persistentVolumeClaim", "claimName"), claim.ClaimName,
				"must not reference a PVC that gets created for an ephemeral volume"))
		}
	}
	return right, errs
}

// ValidateSource returns what is wrong with the source of a volume, which must be one.
func ValidateSource(s corev1.VolumeSource, path *field.Path) field.ErrorList {
	return validateVolumeSource(&corev1.Volume{VolumeSource: s}, path, Options{})
}

// createdClaims returns the names of the claims that generic ephemeral volumes of
// this pod would create.
func createdClaims(volumes []corev1.Volume, o Options) map[string]bool {
	created := map[string]bool{}
	for _, v := range volumes {
		if v.Ephemeral != nil && o.PodName != "" {
			created[o.PodName+"-"+v.Name] = true
		}
	}
	return created
}

func validateVolumeSource(v *corev1.Volume, path *field.Path, o Options) field.ErrorList {
	var errs field.ErrorList
	kinds := 0
	for _, kind := range volumeKinds {
		check := kind.of(v, path.Child(kind.name), o)
		if check == nil {
			continue
		}
		if kinds++; kinds > 1 {
			errs = append(errs, field.Forbidden(path.Child(kind.name), "may not specify more than 1 volume type"))
			continue
		}
		errs = append(errs, check()...)
	}
	if kinds == 0 {
		errs = append(errs, field.Required(path, "must specify a volume type"))
	}
	return errs
}

// volumeKind describes one member of VolumeSource. of returns nil when the member
// is not set, else the check of its content.
type volumeKind struct {
	name string
	of   func(v *corev1.Volume, path *field.Path, o Options) func() field.ErrorList
}

// kindOf makes a volumeKind from the member's getter and its check.
func kindOf[T any](name string, get func(v *corev1.Volume) *T, check func(s *T, path *field.Path) field.ErrorList) volumeKind {
	return volumeKind{name, func(v *corev1.Volume, path *field.Path, _ Options) func() field.ErrorList {
		s := get(v)
		if s == nil {
			return nil
		}
		return func() field.ErrorList { return check(s, path) }
	}}
}

// kindOrder is the order in which Kubernetes checks the members of VolumeSource: of
// two, the first is the one that counts.
const kindOrder = "emptyDir hostPath gitRepo gcePersistentDisk awsElasticBlockStore secret nfs iscsi glusterfs flocker " +
	"persistentVolumeClaim rbd cinder cephfs quobyte downwardAPI fc flexVolume configMap azureFile vsphereVolume " +
	"photonPersistentDisk portworxVolume azureDisk storageos projected scaleIO csi ephemeral image"

// volumeKinds are all members of VolumeSource, in kindOrder.
var volumeKinds = inOrder(kindOrder, append([]volumeKind{
	kindOf("emptyDir", func(v *corev1.Volume) *corev1.EmptyDirVolumeSource { return v.EmptyDir }, validateEmptyDir),
	kindOf("hostPath", func(v *corev1.Volume) *corev1.HostPathVolumeSource { return v.HostPath }, validateHostPath),
	kindOf("secret", func(v *corev1.Volume) *corev1.SecretVolumeSource { return v.Secret }, validateSecretVolume),
	kindOf("downwardAPI", func(v *corev1.Volume) *corev1.DownwardAPIVolumeSource { return v.DownwardAPI }, validateDownwardVolume),
	kindOf("configMap", func(v *corev1.Volume) *corev1.ConfigMapVolumeSource { return v.ConfigMap }, validateConfigMapVolume),
	{"projected", func(v *corev1.Volume, path *field.Path, o Options) func() field.ErrorList {
		if v.Projected == nil {
			return nil
		}
		return func() field.ErrorList { return validateProjected(v.Projected, path, o) }
	}},
	{"ephemeral", func(v *corev1.Volume, path *field.Path, o Options) func() field.ErrorList {
		if v.Ephemeral == nil {
			return nil
		}
		return func() field.ErrorList { return validateEphemeral(v, path, o) }
	}},
}, foreignVolumeKinds...))

func inOrder(order string, kinds []volumeKind) []volumeKind {
	place := map[string]int{}
	for i, name := range strings.Fields(order) {
		place[name] = i
	}
	slices.SortFunc(kinds, func(a, b volumeKind) int { return place[a.name] - place[b.name] })
	return kinds
}
