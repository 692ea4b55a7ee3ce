// Package limits owns the kinds LimitRange and ResourceQuota of core/v1, which say what may be
// used in a namespace: defaults, validation, table and storage.
//
// What objects use of a quota is counted in internal/registry/core/limits/usage. Both kinds
// are enforced by internal/admission, and internal/controller/resourcequota keeps the status
// of quotas.
package limits

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// objects are the names of what is counted in objects.
func objects() map[corev1.ResourceName]bool {
	return set(corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers, corev1.ResourceSecrets,
		corev1.ResourceConfigMaps, corev1.ResourcePersistentVolumeClaims, corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers)
}

// amounts are the names of what quotas count beside objects.
func amounts() map[corev1.ResourceName]bool {
	return set(corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage,
		corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsStorage, corev1.ResourceRequestsEphemeralStorage,
		corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage)
}

func set[T comparable](all ...T) map[T]bool {
	m := map[T]bool{}
	for _, v := range all {
		m[v] = true
	}
	return m
}

func hugePages(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) || strings.HasPrefix(string(name), corev1.ResourceRequestsHugePagesPrefix)
}

// quotaName tells whether a name without a domain is one of a quota.
func quotaName(name corev1.ResourceName) bool {
	return objects()[name] || amounts()[name] || hugePages(name)
}

func plain(name corev1.ResourceName) bool { return !strings.Contains(string(name), "/") }

// validateName checks the name of a resource, in which a domain may be left out by few.
func validateName(name corev1.ResourceName, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range validation.IsQualifiedName(string(name)) {
		errs = append(errs, field.Invalid(at, name, msg))
	}
	if len(errs) == 0 && plain(name) && !quotaName(name) && name != corev1.ResourceStorage {
		errs = append(errs, field.Invalid(at, name, "must be a standard resource type or fully qualified"))
	}
	return errs
}

// whole tells whether a resource is counted in whole numbers.
func whole(name corev1.ResourceName) bool {
	native := plain(name) || strings.Contains(string(name), corev1.ResourceDefaultNamespacePrefix)
	extended := !native && !strings.HasPrefix(string(name), corev1.DefaultResourceRequestsPrefix) &&
		len(validation.IsQualifiedName(corev1.DefaultResourceRequestsPrefix+string(name))) == 0
	return objects()[name] || extended
}

func validateAmount(name corev1.ResourceName, q resource.Quantity, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if q.Sign() < 0 {
		errs = append(errs, field.Invalid(at, q.String(), apivalidation.IsNegativeErrorMsg))
	}
	if whole(name) && q.MilliValue()%1000 != 0 {
		errs = append(errs, field.Invalid(at, q, "must be an integer"))
	}
	return errs
}
