package persistentvolume

import (
	"fmt"
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/persistentvolumeclaim"
	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/core/podspec/scheduling"
)

func validate(v *volume) field.ErrorList {
	s, at := &v.Spec, field.NewPath("spec")
	errs := persistentvolumeclaim.ValidateModes(s.AccessModes, "", at.Child("accessModes"))
	errs = append(errs, validateCapacity(s.Capacity, at.Child("capacity"))...)
	policy := at.Child("persistentVolumeReclaimPolicy")
	if s.PersistentVolumeReclaimPolicy != "" {
		errs = append(errs, check.SupportedIfSet(policy, &s.PersistentVolumeReclaimPolicy,
			corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRecycle, corev1.PersistentVolumeReclaimRetain)...)
	}
	affinity := at.Child("nodeAffinity")
	placed := s.NodeAffinity != nil && s.NodeAffinity.Required != nil
	switch {
	case placed:
		errs = append(errs, scheduling.ValidateNodeSelector(s.NodeAffinity.Required, affinity.Child("required"))...)
	case s.NodeAffinity != nil:
		errs = append(errs, field.Required(affinity.Child("required"), "must specify required node constraints"))
	}
	errs = append(errs, validateSource(&s.PersistentVolumeSource, at)...)
	if s.Local != nil && !placed {
		errs = append(errs, field.Required(affinity, "Local volume requires node affinity"))
	}
	if s.HostPath != nil && path.Clean(s.HostPath.Path) == "/" && s.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle {
		errs = append(errs, field.Forbidden(policy, "may not be 'recycle' for a hostPath mount of '/'"))
	}
	if s.StorageClassName != "" {
		errs = append(errs, check.Subdomain(s.StorageClassName, at.Child("storageClassName"))...)
	}
	errs = append(errs, check.SupportedIfSet(at.Child("volumeMode"), s.VolumeMode, corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)...)
	return append(errs, validateAttributes(s, at)...)
}

func validateAttributes(s *corev1.PersistentVolumeSpec, at *field.Path) (errs field.ErrorList) {
	name := s.VolumeAttributesClassName
	if name == nil {
		return nil
	}
	if *name == "" {
		errs = append(errs, field.Required(at.Child("volumeAttributesClassName"), "an empty string is disallowed"))
	} else {
		errs = append(errs, check.Subdomain(*name, at.Child("volumeAttributesClassName"))...)
	}
	if s.CSI == nil {
		errs = append(errs, field.Required(at.Child("csi"), "has to be specified when using volumeAttributesClassName"))
	}
	return errs
}

func validateCapacity(c corev1.ResourceList, at *field.Path) (errs field.ErrorList) {
	if len(c) == 0 {
		errs = append(errs, field.Required(at, ""))
	}
	if _, ok := c[corev1.ResourceStorage]; !ok || len(c) > 1 {
		errs = append(errs, field.NotSupported(at, c, []corev1.ResourceName{corev1.ResourceStorage}))
	}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if size := c[name]; size.Sign() <= 0 {
			errs = append(errs, field.Invalid(at.Key(string(name)), size.String(), "must be greater than zero"))
		}
	}
	return errs
}

// ValidateInline returns what is wrong with a volume that is no object of its own.
func ValidateInline(s *corev1.PersistentVolumeSpec, at *field.Path) field.ErrorList {
	const never, context = "may not be specified", " in the context of inline volumes"
	errs := persistentvolumeclaim.ValidateModes(s.AccessModes, "", at.Child("accessModes"))
	forbid := func(name string, set bool, message string) {
		if set {
			errs = append(errs, field.Forbidden(at.Child(name), message+context))
		}
	}
	forbid("claimRef", s.ClaimRef != nil, never)
	forbid("capacity", len(s.Capacity) > 0, never)
	if s.CSI == nil {
		errs = append(errs, field.Required(at.Child("csi"), "has to be specified"+context))
	}
	policy := s.PersistentVolumeReclaimPolicy
	forbid("persistentVolumeReclaimPolicy", policy != "" && policy != corev1.PersistentVolumeReclaimRetain, "may only be Retain")
	forbid("nodeAffinity", s.NodeAffinity != nil, never)
	errs = append(errs, validateSource(&s.PersistentVolumeSource, at)...)
	forbid("storageClassName", s.StorageClassName != "", never)
	forbid("volumeMode", s.VolumeMode != nil && *s.VolumeMode != corev1.PersistentVolumeFilesystem, "may not specify volumeMode other than Filesystem")
	return append(errs, validateAttributes(s, at)...)
}

func validateChange(v, old *volume) field.ErrorList {
	errs := validate(v)
	now, was := v.Spec.PersistentVolumeSource.DeepCopy(), &old.Spec.PersistentVolumeSource
	if was.CSI != nil && was.CSI.ControllerExpandSecretRef == nil && now.CSI != nil {
		now.CSI.ControllerExpandSecretRef = nil // it may be given later
	}
	if !equality.Semantic.DeepEqual(now, was) {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "persistentvolumesource"),
			fmt.Sprintf("spec.persistentvolumesource is immutable after creation\n%v", diff.Diff(was, now))))
	}
	errs = append(errs, apivalidation.ValidateImmutableField(v.Spec.VolumeMode, old.Spec.VolumeMode, field.NewPath("volumeMode"))...)
	if old.Spec.NodeAffinity != nil {
		errs = append(errs, apivalidation.ValidateImmutableField(v.Spec.NodeAffinity, old.Spec.NodeAffinity, field.NewPath("nodeAffinity"))...)
	}
	if old.Spec.VolumeAttributesClassName != nil && v.Spec.VolumeAttributesClassName == nil {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "volumeAttributesClassName"), "update from non-nil value to nil is forbidden"))
	}
	return errs
}
