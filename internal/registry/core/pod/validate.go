package pod

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec"
)

// validatePod has the rules that hold at creation and at every update. The object
// metadata is checked by the registry.
func validatePod(p *corev1.Pod, o podspec.Options) field.ErrorList {
	o.Pod, o.Volumes.PodName = true, p.Name
	meta := field.NewPath("metadata")
	errs := validateFinalizers(p.Finalizers, meta.Child("finalizers"))
	errs = append(errs, podspec.ValidateAnnotations(p.Annotations, &p.Spec, meta.Child("annotations"))...)
	return append(errs, podspec.ValidateSpec(&p.Spec, field.NewPath("spec"), o)...)
}

func validateCreate(p *corev1.Pod) field.ErrorList {
	errs := append(validatePod(p, podspec.Options{}), validateOnUpdate(p, nil)...)
	spec := field.NewPath("spec")
	errs = append(errs, podspec.ValidateAppArmorNames(p.Annotations, field.NewPath("metadata", "annotations"))...)
	errs = append(errs, podspec.ValidateAppArmorMatch(p.Annotations, &p.Spec, spec)...)
	if len(p.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(spec.Child("ephemeralContainers"), "cannot be set on create"))
	}
	if p.Spec.NodeName != "" && len(p.Spec.SchedulingGates) > 0 {
		errs = append(errs, field.Forbidden(spec.Child("nodeName"), "cannot be set until all schedulingGates have been cleared"))
	}
	return errs
}

func validateFinalizers(finalizers []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, name := range finalizers {
		switch {
		case strings.Contains(name, "/"):
		case name == "kubernetes" || name == "orphan" || name == "foregroundDeletion":
		default:
			errs = append(errs, field.Invalid(path.Index(i), name, "name is neither a standard finalizer name nor is it fully qualified"))
		}
	}
	return errs
}

// validateAnnotationUpdate keeps the annotations that tell what a pod is.
func validateAnnotationUpdate(p, old *corev1.Pod) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("metadata", "annotations")
	for _, key := range slices.Sorted(maps.Keys(old.Annotations)) {
		if value, ok := p.Annotations[key]; ok && value == old.Annotations[key] {
			continue
		}
		if strings.HasPrefix(key, corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix) {
			errs = append(errs, field.Forbidden(path.Key(key), "may not remove or update AppArmor annotations"))
		}
		if key == corev1.MirrorPodAnnotationKey {
			errs = append(errs, field.Forbidden(path.Key(key), "may not remove or update mirror pod annotation"))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.Annotations)) {
		if _, ok := old.Annotations[key]; ok {
			continue
		}
		if strings.HasPrefix(key, corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix) {
			errs = append(errs, field.Forbidden(path.Key(key), "may not add AppArmor annotations"))
		}
		if key == corev1.MirrorPodAnnotationKey {
			errs = append(errs, field.Forbidden(path.Key(key), "may not add mirror pod annotation"))
		}
	}
	return errs
}
