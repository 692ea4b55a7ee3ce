package podspec

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateVolumes also returns the volumes that are right, by name, for checking
// mounts.
func validateVolumes(volumes []corev1.Volume, path *field.Path, o Options) (map[string]*corev1.VolumeSource, field.ErrorList) {
	var errs field.ErrorList
	created := createdClaims(volumes, o)
	right := map[string]*corev1.VolumeSource{}
	for i := range volumes {
		v, at := &volumes[i], path.Index(i)
		wrong := validateVolumeSource(v, at, o)
		if v.Name == "" {
			wrong = append(wrong, field.Required(at.Child("name"), ""))
		} else {
			wrong = append(wrong, dnsLabel(v.Name, at.Child("name"))...)
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

func validateEmptyDir(s *corev1.EmptyDirVolumeSource, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.SizeLimit != nil && s.SizeLimit.Cmp(resource.Quantity{}) < 0 {
		errs = append(errs, field.Forbidden(path.Child("sizeLimit"), "SizeLimit field must be a valid resource quantity"))
	}
	return append(errs, validateMode(s.Mode, path.Child("mode"))...)
}

func validateSecretVolume(s *corev1.SecretVolumeSource, path *field.Path) field.ErrorList {
	errs := required(s.SecretName, path.Child("secretName"))
	errs = append(errs, validateMode(s.DefaultMode, path.Child("defaultMode"))...)
	errs = append(errs, validateOwner(s.DefaultUser, path.Child("defaultUser"))...)
	return append(errs, validateItems(s.Items, path.Child("items"), nil)...)
}

func validateConfigMapVolume(s *corev1.ConfigMapVolumeSource, path *field.Path) field.ErrorList {
	errs := required(s.Name, path.Child("name"))
	errs = append(errs, validateMode(s.DefaultMode, path.Child("defaultMode"))...)
	errs = append(errs, validateOwner(s.DefaultUser, path.Child("defaultUser"))...)
	return append(errs, validateItems(s.Items, path.Child("items"), nil)...)
}

// validateItems checks key-to-path items. taken, if not nil, is told of each path
// and returns the error for one that another source has.
func validateItems(items []corev1.KeyToPath, path *field.Path, taken func(p string) field.ErrorList) field.ErrorList {
	var errs field.ErrorList
	for i, item := range items {
		at := path.Index(i)
		errs = append(errs, required(item.Key, at.Child("key"))...)
		errs = append(errs, required(item.Path, at.Child("path"))...)
		errs = append(errs, volumeFile(item.Path, at.Child("path"))...)
		errs = append(errs, validateMode(item.Mode, at.Child("mode"))...)
		errs = append(errs, validateOwner(item.User, at.Child("user"))...)
		if taken != nil {
			errs = append(errs, taken(item.Path)...)
		}
	}
	return errs
}

func validateDownwardVolume(s *corev1.DownwardAPIVolumeSource, path *field.Path) field.ErrorList {
	errs := validateMode(s.DefaultMode, path.Child("defaultMode"))
	errs = append(errs, validateOwner(s.DefaultUser, path.Child("defaultUser"))...)
	for i := range s.Items {
		errs = append(errs, validateDownwardFile(&s.Items[i], path)...)
	}
	return errs
}

// validateDownwardFile reports at the volume's or source's path, as Kubernetes
// does, not at the item's.
func validateDownwardFile(f *corev1.DownwardAPIVolumeFile, path *field.Path) field.ErrorList {
	errs := required(f.Path, path.Child("path"))
	errs = append(errs, volumeFile(f.Path, path.Child("path"))...)
	switch {
	case f.FieldRef != nil:
		errs = append(errs, validateFieldRef(f.FieldRef, volumeFieldPaths, path.Child("fieldRef"))...)
		if f.ResourceFieldRef != nil {
			errs = append(errs, field.Invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
		}
	case f.ResourceFieldRef != nil:
		errs = append(errs, validateResourceRef(f.ResourceFieldRef, path.Child("resourceFieldRef"), true)...)
	default:
		errs = append(errs, field.Required(path, "one of fieldRef and resourceFieldRef is required"))
	}
	errs = append(errs, validateMode(f.Mode, path.Child("mode"))...)
	return append(errs, validateOwner(f.User, path.Child("user"))...)
}

func validateOwner(uid *int64, path *field.Path) field.ErrorList {
	if uid == nil {
		return nil
	}
	return messages(validation.IsValidUserID(*uid), *uid, path)
}

func validateEphemeral(v *corev1.Volume, path *field.Path, o Options) field.ErrorList {
	var errs field.ErrorList
	if v.Ephemeral.VolumeClaimTemplate == nil {
		errs = append(errs, field.Required(path.Child("volumeClaimTemplate"), ""))
	}
	if o.PodName == "" || v.Name == "" {
		return errs
	}
	claim := o.PodName + "-" + v.Name
	for _, msg := range validation.IsDNS1123Subdomain(claim) {
		errs = append(errs, field.Invalid(path.Child("name"), v.Name, fmt.Sprintf("PVC name %q: %v", claim, msg)))
	}
	return errs
}

func required(value string, path *field.Path) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return nil
}
