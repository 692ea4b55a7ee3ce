package podspec

import (
	"fmt"
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

// ValidateAppArmorNames refuses annotations that name no profile. It holds for new pods and
// for templates: a pod that was stored with one must still be able to get a status.
func ValidateAppArmorNames(annotations map[string]string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		value := annotations[key]
		if strings.HasPrefix(key, corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix) && !isAppArmorName(value) {
			errs = append(errs, field.Invalid(path.Key(key), value, fmt.Sprintf("invalid AppArmor profile name: %q", value)))
		}
	}
	return errs
}

// isAppArmorName is true for what an annotation of old may say; "" is the runtime's choice.
func isAppArmorName(value string) bool {
	switch value {
	case "", corev1.DeprecatedAppArmorBetaProfileRuntimeDefault, corev1.DeprecatedAppArmorBetaProfileNameUnconfined:
		return true
	}
	return strings.HasPrefix(value, corev1.DeprecatedAppArmorBetaProfileNamePrefix)
}

// ValidateAppArmorMatch refuses annotations that name other profiles than the fields of
// the spec at path do. It holds for new pods and for templates; stored pods keep theirs.
func ValidateAppArmorMatch(annotations map[string]string, spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	if spec.OS != nil && spec.OS.Name == corev1.Windows {
		return nil
	}
	var errs field.ErrorList
	for place, c := range podfields.Containers(spec) {
		value, ok := annotations[corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix+c.Name]
		profile := appArmorOf(spec, c)
		if !ok || profile == nil {
			continue
		}
		at := pathOf(place, path).Child("securityContext", "appArmorProfile")
		name, local := strings.CutPrefix(value, corev1.DeprecatedAppArmorBetaProfileNamePrefix)
		same := true
		switch profile.Type {
		case corev1.AppArmorProfileTypeUnconfined:
			same = value == corev1.DeprecatedAppArmorBetaProfileNameUnconfined
		case corev1.AppArmorProfileTypeRuntimeDefault:
			same = value == corev1.DeprecatedAppArmorBetaProfileRuntimeDefault
		case corev1.AppArmorProfileTypeLocalhost:
			if same = local; local && (profile.LocalhostProfile == nil || *profile.LocalhostProfile != name) {
				errs = append(errs, field.Forbidden(at.Child("localhostProfile"), "apparmor profile in annotation and field must match"))
			}
		}
		if !same {
			errs = append(errs, field.Forbidden(at.Child("type"), "apparmor type in annotation and field must match"))
		}
	}
	return errs
}

// appArmorOf is the profile that a container has by fields, its own or the pod's.
func appArmorOf(spec *corev1.PodSpec, c *corev1.Container) *corev1.AppArmorProfile {
	switch {
	case c.SecurityContext != nil && c.SecurityContext.AppArmorProfile != nil:
		return c.SecurityContext.AppArmorProfile
	case spec.SecurityContext != nil:
		return spec.SecurityContext.AppArmorProfile
	}
	return nil
}

// pathOf is a container's path below that of its spec.
func pathOf(at podfields.Place, spec *field.Path) *field.Path {
	return spec.Child(string(at.List)).Index(at.Index)
}
