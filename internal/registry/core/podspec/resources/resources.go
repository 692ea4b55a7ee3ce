// Package resources has the rules and defaults of requests, limits and resource claims,
// of containers and of whole pods, what of them may change in a pod that runs, and the
// class of service that follows from them.
package resources

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	resourcehelper "k8s.io/component-helpers/resource"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

// Validate checks requests and limits of a container or pod; name checks the name of a
// resource. Maps are walked in order, so that messages come in the same order each time.
func Validate(r *corev1.ResourceRequirements, name func(corev1.ResourceName, *field.Path) field.ErrorList, claims map[string]bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	limits, requests := path.Child("limits"), path.Child("requests")
	for _, n := range sortedNames(r.Limits) {
		errs = append(errs, name(n, limits.Key(string(n)))...)
		errs = append(errs, validateQuantity(n, r.Limits[n], limits.Key(string(n)))...)
	}
	for _, n := range sortedNames(r.Requests) {
		request := r.Requests[n]
		errs = append(errs, name(n, requests.Key(string(n)))...)
		errs = append(errs, validateQuantity(n, request, requests.Key(string(n)))...)
		limit, limited := r.Limits[n]
		switch {
		case limited && request.Cmp(limit) != 0 && !Overcommits(n):
			errs = append(errs, field.Invalid(requests, request.String(), fmt.Sprintf("must be equal to %s limit of %s", n, limit.String())))
		case limited && request.Cmp(limit) > 0:
			errs = append(errs, field.Invalid(requests, request.String(), fmt.Sprintf("must be less than or equal to %s limit of %s", n, limit.String())))
		case !limited && !Overcommits(n):
			errs = append(errs, field.Required(limits, "Limit must be set for non overcommitable resources"))
		}
	}
	if onlyHugePages(r) {
		errs = append(errs, field.Forbidden(path, "HugePages require cpu or memory"))
	}
	return append(errs, validateClaimRefs(r.Claims, claims, path.Child("claims"))...)
}

func sortedNames(list corev1.ResourceList) []corev1.ResourceName {
	return slices.Sorted(maps.Keys(list))
}

func onlyHugePages(r *corev1.ResourceRequirements) bool {
	huge := false
	for _, list := range []corev1.ResourceList{r.Limits, r.Requests} {
		for name := range list {
			if name == corev1.ResourceCPU || name == corev1.ResourceMemory {
				return false
			}
			huge = huge || isHugePages(name)
		}
	}
	return huge
}

func validateQuantity(name corev1.ResourceName, q resource.Quantity, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if q.Cmp(resource.Quantity{}) < 0 {
		errs = append(errs, field.Invalid(path, q.String(), apivalidation.IsNegativeErrorMsg))
	}
	if isExtended(name) && q.MilliValue()%1000 != 0 {
		errs = append(errs, field.Invalid(path, q, "must be an integer"))
	}
	if isHugePages(name) && !dividesPages(name, q) {
		errs = append(errs, field.Invalid(path, q.String(), fmt.Sprintf("%s is not positive integer multiple of %s", q.String(), name)))
	}
	return errs
}

// dividesPages is true when q is a whole number of the pages that name says.
func dividesPages(name corev1.ResourceName, q resource.Quantity) bool {
	page, err := resource.ParseQuantity(strings.TrimPrefix(string(name), corev1.ResourceHugePagesPrefix))
	if err != nil || page.Sign() <= 0 || page.Value() <= 0 {
		return false
	}
	return q.Value()%page.Value() == 0
}

func isHugePages(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// isNative is true for names without a domain and for those of kubernetes.io.
func isNative(name corev1.ResourceName) bool {
	return !strings.Contains(string(name), "/") || strings.Contains(string(name), corev1.ResourceDefaultNamespacePrefix)
}

// isExtended is true for names that a device or a vendor may use.
func isExtended(name corev1.ResourceName) bool {
	if isNative(name) || strings.HasPrefix(string(name), corev1.DefaultResourceRequestsPrefix) {
		return false
	}
	return len(validation.IsQualifiedName(corev1.DefaultResourceRequestsPrefix+string(name))) == 0
}

// Overcommits is true when the sum of limits may exceed what the node has.
func Overcommits(name corev1.ResourceName) bool { return isNative(name) && !isHugePages(name) }

// OfContainer checks the name of a container's resource.
func OfContainer(name corev1.ResourceName, path *field.Path) field.ErrorList {
	errs := check.QualifiedName(string(name), path)
	if len(errs) > 0 {
		return errs
	}
	switch name {
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		return nil
	}
	switch {
	case isHugePages(name):
	case !strings.Contains(string(name), "/"):
		if !standardResource(name) {
			errs = append(errs, field.Invalid(path, name, "must be a standard resource type or fully qualified"))
		}
		errs = append(errs, field.Invalid(path, name, "must be a standard resource for containers"))
	case !isNative(name) && !isExtended(name):
		errs = append(errs, field.Invalid(path, name, "doesn't follow extended resource name standard"))
	}
	return errs
}

// standardResource is true for the unqualified names that quotas and nodes know.
func standardResource(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourcePods, corev1.ResourceServices, corev1.ResourceReplicationControllers, corev1.ResourceQuotas,
		corev1.ResourceSecrets, corev1.ResourceConfigMaps, corev1.ResourcePersistentVolumeClaims, corev1.ResourceStorage,
		corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsEphemeralStorage, corev1.ResourceRequestsStorage,
		corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage,
		corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers:
		return true
	}
	return false
}

// podResource checks the name of a pod-level resource.
func podResource(name corev1.ResourceName, path *field.Path) field.ErrorList {
	if !resourcehelper.IsSupportedPodLevelResource(name) {
		supported := slices.Sorted(maps.Keys(resourcehelper.SupportedPodLevelResources()))
		return field.ErrorList{field.NotSupported(path, name, supported)}
	}
	return nil
}

// ValidatePod checks spec.resources (KEP-2837), which is at path, against those of the
// containers. claims are the names of spec.resourceClaims.
func ValidatePod(spec *corev1.PodSpec, claims map[string]bool, path *field.Path) field.ErrorList {
	r := spec.Resources
	if r == nil {
		return nil
	}
	var errs field.ErrorList
	if r.Claims != nil {
		errs = append(errs, field.Forbidden(path.Child("claims"), "claims cannot be set for Resources at pod-level"))
	}
	errs = append(errs, Validate(r, podResource, claims, path)...)
	sum := resourcehelper.AggregateContainerRequests(&corev1.Pod{Spec: *spec}, resourcehelper.PodResourcesOptions{})
	for _, name := range sortedNames(sum) {
		used, pod := sum[name], r.Requests[name]
		if used.Cmp(pod) > 0 {
			errs = append(errs, field.Invalid(path.Child("requests").Key(string(name)), pod.String(),
				fmt.Sprintf("must be greater than or equal to aggregate container requests of %s", used.String())))
		}
	}
	for i, c := range spec.Containers {
		for _, name := range sortedNames(c.Resources.Limits) {
			limit := c.Resources.Limits[name]
			if most, ok := r.Limits[name]; ok && limit.Cmp(most) > 0 {
				errs = append(errs, field.Invalid(path.Child("containers").Index(i).Key(string(name)).Child("limits"), limit.String(),
					fmt.Sprintf("must be less than or equal to pod limits of %s", most.String())))
			}
		}
	}
	return errs
}
