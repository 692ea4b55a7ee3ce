package containers

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/core/podspec/downward"
)

func validateEnv(vars []corev1.EnvVar, volumes map[string]*corev1.VolumeSource, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range vars {
		v, at := &vars[i], path.Index(i)
		if v.Name == "" {
			errs = append(errs, field.Required(at.Child("name"), ""))
		} else {
			errs = append(errs, check.Messages(validation.IsRelaxedEnvVarName(v.Name), v.Name, at.Child("name"))...)
		}
		errs = append(errs, validateEnvSource(v, volumes, at.Child("valueFrom"))...)
	}
	return errs
}

func validateEnvSource(v *corev1.EnvVar, volumes map[string]*corev1.VolumeSource, path *field.Path) field.ErrorList {
	from := v.ValueFrom
	if from == nil {
		return nil
	}
	var errs field.ErrorList
	sources := 0
	if from.FieldRef != nil {
		sources++
		errs = append(errs, downward.ValidateFieldRef(from.FieldRef, downward.EnvFieldPaths, path.Child("fieldRef"))...)
	}
	if from.ResourceFieldRef != nil {
		sources++
		errs = append(errs, downward.ValidateResourceRef(from.ResourceFieldRef, path.Child("resourceFieldRef"), false)...)
	}
	if ref := from.ConfigMapKeyRef; ref != nil {
		sources++
		errs = append(errs, validateKeyRef(ref.Name, ref.Key, path.Child("configMapKeyRef"))...)
	}
	if ref := from.SecretKeyRef; ref != nil {
		sources++
		errs = append(errs, validateKeyRef(ref.Name, ref.Key, path.Child("secretKeyRef"))...)
	}
	if from.FileKeyRef != nil {
		sources++
		errs = append(errs, validateFileKeyRef(from.FileKeyRef, volumes, path.Child("fileKeyRef"))...)
	}
	switch {
	case sources == 0:
		errs = append(errs, field.Invalid(path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"))
	case v.Value != "":
		errs = append(errs, field.Invalid(path, "", "may not be specified when `value` is not empty"))
	case sources > 1:
		errs = append(errs, field.Invalid(path, "", "may not have more than one field specified at a time"))
	}
	return errs
}

func validateKeyRef(name, key string, path *field.Path) field.ErrorList {
	errs := check.Messages(apivalidation.NameIsDNSSubdomain(name, false), name, path.Child("name"))
	if key == "" {
		return append(errs, field.Required(path.Child("key"), ""))
	}
	return append(errs, check.Messages(validation.IsConfigMapKey(key), key, path.Child("key"))...)
}

func validateFileKeyRef(ref *corev1.FileKeySelector, volumes map[string]*corev1.VolumeSource, path *field.Path) field.ErrorList {
	errs := check.Required(ref.VolumeName, path.Child("volumeName"))
	if ref.VolumeName != "" {
		volume := volumes[ref.VolumeName]
		switch {
		case volume == nil:
			errs = append(errs, field.NotFound(path.Child("volumeName"), ref.VolumeName))
		case volume.EmptyDir == nil:
			errs = append(errs, field.Invalid(path.Child("volumeName"), ref.VolumeName, "referenced volume must be of type emptyDir"))
		}
	}
	errs = append(errs, check.Required(ref.Path, path.Child("path"))...)
	errs = append(errs, check.VolumeFile(ref.Path, path.Child("path"))...)
	if ref.Key == "" {
		return append(errs, field.Required(path.Child("key"), ""))
	}
	return append(errs, check.Messages(validation.IsRelaxedEnvVarName(ref.Key), ref.Key, path.Child("key"))...)
}

// validateEnvFrom reports the number of sources at the list, as Kubernetes does.
func validateEnvFrom(list []corev1.EnvFromSource, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range list {
		s, at := &list[i], path.Index(i)
		if s.Prefix != "" {
			errs = append(errs, check.Messages(validation.IsRelaxedEnvVarName(s.Prefix), s.Prefix, at.Child("prefix"))...)
		}
		if s.ConfigMapRef != nil {
			errs = append(errs, validateObjectName(s.ConfigMapRef.Name, at.Child("configMapRef", "name"))...)
		}
		if s.SecretRef != nil {
			errs = append(errs, validateObjectName(s.SecretRef.Name, at.Child("secretRef", "name"))...)
		}
		switch {
		case s.ConfigMapRef == nil && s.SecretRef == nil:
			errs = append(errs, field.Invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
		case s.ConfigMapRef != nil && s.SecretRef != nil:
			errs = append(errs, field.Invalid(path, "", "may not have more than one field specified at a time"))
		}
	}
	return errs
}

func validateObjectName(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return check.Messages(apivalidation.NameIsDNSSubdomain(name, true), name, path)
}
