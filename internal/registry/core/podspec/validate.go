package podspec

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/core/podspec/containers"
	"laterna.dev/laterna/internal/registry/core/podspec/network"
	"laterna.dev/laterna/internal/registry/core/podspec/resources"
	"laterna.dev/laterna/internal/registry/core/podspec/scheduling"
	"laterna.dev/laterna/internal/registry/core/podspec/security"
	"laterna.dev/laterna/internal/registry/core/podspec/volumes"
)

// Options says where a spec stands.
type Options struct {
	// Pod is true for the spec of a pod, false for a template.
	Pod bool
	// Volumes says where its volumes stand.
	Volumes volumes.Options
}

// ValidateTemplate returns what is wrong with a pod template, after defaults.
func ValidateTemplate(t *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	meta := path.Child("metadata")
	errs := metavalidation.ValidateLabels(t.Labels, meta.Child("labels"))
	errs = append(errs, apivalidation.ValidateAnnotations(t.Annotations, meta.Child("annotations"))...)
	errs = append(errs, ValidateAnnotations(t.Annotations, &t.Spec, meta.Child("annotations"))...)
	errs = append(errs, ValidateAppArmorNames(t.Annotations, meta.Child("annotations"))...)
	spec := path.Child("spec")
	errs = append(errs, ValidateSpec(&t.Spec, spec, Options{})...)
	errs = append(errs, ValidateAppArmorMatch(t.Annotations, &t.Spec, spec)...)
	if len(t.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(spec.Child("ephemeralContainers"), "ephemeral containers not allowed in pod template"))
	}
	return errs
}

// ValidateSpec returns what is wrong with a pod spec, after defaults. It does not
// change spec, and never panics, whatever spec holds.
func ValidateSpec(spec *corev1.PodSpec, path *field.Path, o Options) field.ErrorList {
	var errs field.ErrorList
	if spec.TerminationGracePeriodSeconds == nil {
		errs = append(errs, field.Required(path.Child("terminationGracePeriodSeconds"), ""))
	}
	right, wrong := volumes.Validate(spec.Volumes, path.Child("volumes"), o.Volumes)
	errs = append(errs, wrong...)
	errs = append(errs, resources.ValidateClaims(spec.ResourceClaims, path.Child("resourceClaims"))...)

	claims := resources.ClaimNames(spec.ResourceClaims)
	errs = append(errs, containers.Validate(spec, right, claims, path)...)
	errs = append(errs, resources.ValidatePod(spec, claims, path.Child("resources"))...)
	errs = append(errs, network.ValidateHostNetwork(spec, path, o.Pod)...)
	errs = append(errs, validateEnums(spec, path)...)
	errs = append(errs, metavalidation.ValidateLabels(spec.NodeSelector, path.Child("nodeSelector"))...)
	errs = append(errs, security.ValidatePod(spec, path.Child("securityContext"))...)
	errs = append(errs, scheduling.ValidateAffinity(spec.Affinity, path.Child("affinity"))...)
	errs = append(errs, network.ValidateDNS(spec, path.Child("dnsConfig"))...)
	errs = append(errs, scheduling.ValidateGates(spec, path)...)
	errs = append(errs, scheduling.ValidateSpread(spec.TopologySpreadConstraints, path.Child("topologySpreadConstraints"))...)
	errs = append(errs, security.ValidateHostProcess(spec, path)...)
	errs = append(errs, security.ValidateHostUsers(spec, path)...)
	errs = append(errs, validateNames(spec, path)...)
	errs = append(errs, scheduling.ValidateTolerations(spec.Tolerations, path.Child("tolerations"))...)
	errs = append(errs, network.ValidateHostAliases(spec.HostAliases, path.Child("hostAliases"))...)
	if spec.Overhead != nil {
		errs = append(errs, resources.Validate(&corev1.ResourceRequirements{Limits: spec.Overhead}, resources.OfContainer, nil, path.Child("overhead"))...)
	}
	errs = append(errs, security.ValidateOS(spec, path)...)
	if o.Pod {
		errs = append(errs, validateOnlyPod(spec, path)...)
	}
	return errs
}

// validateOnlyPod has the rules that hold for pods and not for templates.
func validateOnlyPod(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if spec.ServiceAccountName == "" {
		for i, v := range spec.Volumes {
			if v.Projected == nil {
				continue
			}
			for j, s := range v.Projected.Sources {
				if s.ServiceAccountToken != nil {
					errs = append(errs, field.Forbidden(
						path.Child("volumes").Index(i).Child("projected", "sources").Index(j).Child("serviceAccountToken"),
						"must not be specified when serviceAccountName is not set"))
				}
			}
		}
	}
	for i := range spec.Containers {
		errs = append(errs, containers.ValidateTrimmedImage(&spec.Containers[i], path.Child("containers").Index(i))...)
	}
	for i := range spec.InitContainers {
		errs = append(errs, containers.ValidateTrimmedImage(&spec.InitContainers[i], path.Child("initContainers").Index(i))...)
	}
	return errs
}

func validateEnums(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	errs := check.OneOf(path.Child("restartPolicy"), spec.RestartPolicy,
		corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)
	errs = append(errs, check.OneOf(path.Child("dnsPolicy"), spec.DNSPolicy,
		corev1.DNSClusterFirstWithHostNet, corev1.DNSClusterFirst, corev1.DNSDefault, corev1.DNSNone)...)
	if spec.PreemptionPolicy != nil {
		errs = append(errs, check.OneOf(path.Child("preemptionPolicy"), *spec.PreemptionPolicy,
			corev1.PreemptLowerPriority, corev1.PreemptNever)...)
	}
	return errs
}

// validateNames checks the fields that name something and the deadline.
func validateNames(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	named := func(name string, check apivalidation.ValidateNameFunc, value string) {
		if value == "" {
			return
		}
		for _, msg := range check(value, false) {
			errs = append(errs, field.Invalid(path.Child(name), value, msg))
		}
	}
	named("serviceAccountName", apivalidation.ValidateServiceAccountName, spec.ServiceAccountName)
	named("nodeName", apivalidation.NameIsDNSSubdomain, spec.NodeName)
	if d := spec.ActiveDeadlineSeconds; d != nil && (*d < 1 || *d > math.MaxInt32) {
		errs = append(errs, field.Invalid(path.Child("activeDeadlineSeconds"), *d, validation.InclusiveRangeError(1, math.MaxInt32)))
	}
	named("hostname", apivalidation.NameIsDNSLabel, spec.Hostname)
	named("subdomain", apivalidation.NameIsDNSLabel, spec.Subdomain)
	named("priorityClassName", apivalidation.NameIsDNSSubdomain, spec.PriorityClassName)
	if spec.RuntimeClassName != nil {
		for _, msg := range apivalidation.NameIsDNSSubdomain(*spec.RuntimeClassName, false) {
			errs = append(errs, field.Invalid(path.Child("runtimeClassName"), *spec.RuntimeClassName, msg))
		}
	}
	errs = append(errs, network.ValidateHostnameOverride(spec, path)...)
	return errs
}
