package podspec

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/podfields"
)

// ValidateAnnotations checks the annotations that have a meaning for pods.
func ValidateAnnotations(annotations map[string]string, spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if value, ok := annotations[corev1.MirrorPodAnnotationKey]; ok && spec.NodeName == "" {
		errs = append(errs, field.Invalid(path.Key(corev1.MirrorPodAnnotationKey), value, "must set spec.nodeName if mirror pod annotation is set"))
	}
	if value, ok := annotations[corev1.PodDeletionCost]; ok && !isDeletionCost(value) {
		errs = append(errs, field.Invalid(path.Key(corev1.PodDeletionCost), value, "must be a 32bit integer"))
	}
	if value, ok := annotations[api.SubPathUpdates]; ok && value != "true" && value != "false" {
		errs = append(errs, field.NotSupported(path.Key(api.SubPathUpdates), value, []string{"true", "false"}))
	}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		name, ok := strings.CutPrefix(key, corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix)
		if ok && podfields.Container(spec, name) == nil {
			errs = append(errs, field.Invalid(path.Key(key), name, "container not found"))
		}
	}
	return errs
}

// isDeletionCost accepts 32-bit integers written without plus and leading zeros.
func isDeletionCost(value string) bool {
	n, err := strconv.ParseInt(value, 10, 32)
	return err == nil && strconv.FormatInt(n, 10) == value
}

// pathOf is a container's path below that of its spec.
func pathOf(at podfields.Place, spec *field.Path) *field.Path {
	return spec.Child(string(at.List)).Index(at.Index)
}
