package resources

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

func validateClaimRefs(refs []corev1.ResourceClaim, claims map[string]bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, ref := range refs {
		at, key := path.Index(i), ref.Name
		if ref.Name == "" {
			errs = append(errs, field.Required(at, ""))
			continue
		}
		if ref.Request != "" {
			errs = append(errs, check.DNSLabel(ref.Request, at.Child("request"))...)
			key += "/" + ref.Request
		}
		if seen[ref.Name] || seen[key] {
			errs = append(errs, field.Duplicate(at, key))
		}
		seen[key] = true
		if claims[ref.Name] {
			continue
		}
		missing := field.NotFound(at, ref.Name)
		missing.Detail = "must be one of the names in pod.spec.resourceClaims"
		if len(claims) == 0 {
			missing.Detail += " which is empty"
		} else {
			missing.Detail += ": " + strings.Join(slices.Sorted(maps.Keys(claims)), ", ")
		}
		errs = append(errs, missing)
	}
	return errs
}

// ValidateClaims checks spec.resourceClaims.
func ValidateClaims(claims []corev1.PodResourceClaim, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, c := range claims {
		at := path.Index(i)
		switch {
		case c.Name == "":
			errs = append(errs, field.Required(at.Child("name"), ""))
		case seen[c.Name]:
			errs = append(errs, field.Duplicate(at.Child("name"), c.Name))
		default:
			errs = append(errs, check.DNSLabel(c.Name, at.Child("name"))...)
			seen[c.Name] = true
		}
		switch {
		case c.ResourceClaimName != nil && c.ResourceClaimTemplateName != nil:
			errs = append(errs, field.Invalid(at, c, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"))
		case c.ResourceClaimName == nil && c.ResourceClaimTemplateName == nil:
			errs = append(errs, field.Invalid(at, c, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"))
		}
		errs = append(errs, check.SubdomainIfSet(c.ResourceClaimName, at.Child("resourceClaimName"))...)
		errs = append(errs, check.SubdomainIfSet(c.ResourceClaimTemplateName, at.Child("resourceClaimTemplateName"))...)
	}
	return errs
}

// ClaimNames are the names that containers may claim devices by.
func ClaimNames(claims []corev1.PodResourceClaim) map[string]bool {
	names := map[string]bool{}
	for _, c := range claims {
		if c.Name != "" {
			names[c.Name] = true
		}
	}
	return names
}
