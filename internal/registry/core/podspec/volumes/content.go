package volumes

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/core/podspec/downward"
)

func validateEmptyDir(s *corev1.EmptyDirVolumeSource, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.SizeLimit != nil && s.SizeLimit.Cmp(resource.Quantity{}) < 0 {
		errs = append(errs, field.Forbidden(path.Child("sizeLimit"), "SizeLimit field must be a valid resource quantity"))
	}
	return append(errs, check.DirMode(s.Mode, path.Child("mode"))...)
}

func validateSecretVolume(s *corev1.SecretVolumeSource, path *field.Path) field.ErrorList {
	errs := check.Required(s.SecretName, path.Child("secretName"))
	errs = append(errs, check.Mode(s.DefaultMode, path.Child("defaultMode"))...)
	errs = append(errs, check.Owner(s.DefaultUser, path.Child("defaultUser"))...)
	return append(errs, validateItems(s.Items, path.Child("items"), nil)...)
}

func validateConfigMapVolume(s *corev1.ConfigMapVolumeSource, path *field.Path) field.ErrorList {
	errs := check.Required(s.Name, path.Child("name"))
	errs = append(errs, check.Mode(s.DefaultMode, path.Child("defaultMode"))...)
	errs = append(errs, check.Owner(s.DefaultUser, path.Child("defaultUser"))...)
	return append(errs, validateItems(s.Items, path.Child("items"), nil)...)
}

// validateItems checks key-to-path items. taken, if not nil, is told of each path
// and returns the error for one that another source has.
func validateItems(items []corev1.KeyToPath, path *field.Path, taken func(p string) field.ErrorList) field.ErrorList {
	var errs field.ErrorList
	for i, item := range items {
		at := path.Index(i)
		errs = append(errs, check.Required(item.Key, at.Child("key"))...)
		errs = append(errs, check.Required(item.Path, at.Child("path"))...)
		errs = append(errs, check.VolumeFile(item.Path, at.Child("path"))...)
		errs = append(errs, check.Mode(item.Mode, at.Child("mode"))...)
		errs = append(errs, check.Owner(item.User, at.Child("user"))...)
		if taken != nil {
			errs = append(errs, taken(item.Path)...)
		}
	}
	return errs
}

func validateDownwardVolume(s *corev1.DownwardAPIVolumeSource, path *field.Path) field.ErrorList {
	errs := check.Mode(s.DefaultMode, path.Child("defaultMode"))
	errs = append(errs, check.Owner(s.DefaultUser, path.Child("defaultUser"))...)
	for i := range s.Items {
		errs = append(errs, validateDownwardFile(&s.Items[i], path)...)
	}
	return errs
}

// validateDownwardFile reports at the volume's or source's path, as Kubernetes
// does, not at the item's.
func validateDownwardFile(f *corev1.DownwardAPIVolumeFile, path *field.Path) field.ErrorList {
	errs := check.Required(f.Path, path.Child("path"))
	errs = append(errs, check.VolumeFile(f.Path, path.Child("path"))...)
	switch {
	case f.FieldRef != nil:
		errs = append(errs, downward.ValidateFieldRef(f.FieldRef, downward.VolumeFieldPaths, path.Child("fieldRef"))...)
		if f.ResourceFieldRef != nil {
			errs = append(errs, field.Invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
		}
	case f.ResourceFieldRef != nil:
		errs = append(errs, downward.ValidateResourceRef(f.ResourceFieldRef, path.Child("resourceFieldRef"), true)...)
	default:
		errs = append(errs, field.Required(path, "one of fieldRef and resourceFieldRef is required"))
	}
	errs = append(errs, check.Mode(f.Mode, path.Child("mode"))...)
	return append(errs, check.Owner(f.User, path.Child("user"))...)
}
