package podspec

import (
	"fmt"
	"math"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Options says where a spec stands.
type Options struct {
	// Pod is true for the spec of a pod, false for a template.
	Pod bool
	// PodName is the name of the pod, "" where it is not known. Claims of
	// generic ephemeral volumes are named after it.
	PodName string
	// AnyTokenPath accepts paths of projected tokens that leave the volume,
	// for pods that were stored with one.
	AnyTokenPath bool
}

// ValidateTemplate returns what is wrong with a pod template, after defaults.
func ValidateTemplate(t *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	meta := path.Child("metadata")
	errs := metavalidation.ValidateLabels(t.Labels, meta.Child("labels"))
	errs = append(errs, apivalidation.ValidateAnnotations(t.Annotations, meta.Child("annotations"))...)
	errs = append(errs, ValidateAnnotations(t.Annotations, &t.Spec, meta.Child("annotations"))...)
	spec := path.Child("spec")
	errs = append(errs, ValidateSpec(&t.Spec, spec, Options{})...)
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
	volumes, volumeErrs := validateVolumes(spec.Volumes, path.Child("volumes"), o)
	errs = append(errs, volumeErrs...)
	errs = append(errs, validateClaims(spec.ResourceClaims, path.Child("resourceClaims"))...)

	v := containerRules{spec: spec, volumes: volumes, claims: claimNames(spec.ResourceClaims)}
	errs = append(errs, v.containers(path.Child("containers"))...)
	errs = append(errs, v.initContainers(path.Child("initContainers"))...)
	errs = append(errs, v.ephemeralContainers(path.Child("ephemeralContainers"))...)

	errs = append(errs, validatePodResources(spec, v.claims, path.Child("resources"))...)
	errs = append(errs, validateHostNetwork(spec, path, o)...)
	errs = append(errs, validateEnums(spec, path)...)
	errs = append(errs, metavalidation.ValidateLabels(spec.NodeSelector, path.Child("nodeSelector"))...)
	errs = append(errs, validatePodSecurity(spec, path.Child("securityContext"))...)
	errs = append(errs, validateAffinity(spec.Affinity, path.Child("affinity"))...)
	errs = append(errs, validateDNS(spec, path.Child("dnsConfig"))...)
	errs = append(errs, validateGates(spec, path)...)
	errs = append(errs, validateSpread(spec.TopologySpreadConstraints, path.Child("topologySpreadConstraints"))...)
	errs = append(errs, validateHostUsers(spec, path)...)
	errs = append(errs, validateNames(spec, path)...)
	errs = append(errs, ValidateTolerations(spec.Tolerations, path.Child("tolerations"))...)
	errs = append(errs, validateHostAliases(spec.HostAliases, path.Child("hostAliases"))...)
	if spec.Overhead != nil {
		errs = append(errs, validateResources(&corev1.ResourceRequirements{Limits: spec.Overhead}, containerResource, nil, path.Child("overhead"))...)
	}
	errs = append(errs, validateOS(spec, path)...)
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
		errs = append(errs, validateTrimmedImage(&spec.Containers[i], path.Child("containers").Index(i))...)
	}
	for i := range spec.InitContainers {
		errs = append(errs, validateTrimmedImage(&spec.InitContainers[i], path.Child("initContainers").Index(i))...)
	}
	return errs
}

// validateHostNetwork checks ports of pods on the host network: there container
// and host port are one.
func validateHostNetwork(spec *corev1.PodSpec, path *field.Path, o Options) field.ErrorList {
	if !spec.HostNetwork {
		return nil
	}
	var errs field.ErrorList
	for i, c := range spec.Containers {
		for j, p := range c.Ports {
			if (o.Pod || p.HostPort != 0) && p.HostPort != p.ContainerPort {
				errs = append(errs, field.Invalid(path.Child("containers").Index(i).Child("ports").Index(j).Child("hostPort"),
					p.HostPort, "must match `containerPort` when `hostNetwork` is true"))
			}
		}
	}
	return errs
}

func validateEnums(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	errs := oneOf(path.Child("restartPolicy"), spec.RestartPolicy,
		corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)
	errs = append(errs, oneOf(path.Child("dnsPolicy"), spec.DNSPolicy,
		corev1.DNSClusterFirstWithHostNet, corev1.DNSClusterFirst, corev1.DNSDefault, corev1.DNSNone)...)
	if spec.PreemptionPolicy != nil {
		errs = append(errs, oneOf(path.Child("preemptionPolicy"), *spec.PreemptionPolicy,
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
	errs = append(errs, validateHostnameOverride(spec, path)...)
	return errs
}

// maxHostname is the longest host name that Linux takes.
const maxHostname = 64

func validateHostnameOverride(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	if spec.HostnameOverride == nil {
		return nil
	}
	name, at := *spec.HostnameOverride, path.Child("hostnameOverride")
	var errs field.ErrorList
	for _, msg := range validation.IsDNS1123Subdomain(name) {
		errs = append(errs, field.Invalid(at, name, msg))
	}
	if len(name) > maxHostname {
		errs = append(errs, field.TooLong(at, name, maxHostname))
	}
	if spec.SetHostnameAsFQDN != nil && *spec.SetHostnameAsFQDN {
		errs = append(errs, field.Forbidden(at, "may not be specified when `setHostnameAsFQDN` is true"))
	}
	if spec.HostNetwork {
		errs = append(errs, field.Forbidden(at, "may not be specified when `hostNetwork` is true"))
	}
	return errs
}

func validateHostUsers(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	if hostUsers(spec) {
		return nil
	}
	var errs field.ErrorList
	for _, f := range []struct {
		set  bool
		name string
	}{{spec.HostNetwork, "hostNetwork"}, {spec.HostPID, "HostPID"}, {spec.HostIPC, "HostIPC"}} {
		if f.set {
			errs = append(errs, field.Forbidden(path.Child(f.name), "when `pod.Spec.HostUsers` is false"))
		}
	}
	return errs
}

// hostUsers is true when the pod shares the user namespace of the host.
func hostUsers(spec *corev1.PodSpec) bool { return spec.HostUsers == nil || *spec.HostUsers }

func validateOS(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	if spec.OS == nil {
		return nil
	}
	at := path.Child("os")
	switch spec.OS.Name {
	case corev1.Linux, corev1.Windows:
		return nil
	case "":
		return field.ErrorList{field.Required(at.Child("name"), "cannot be empty")}
	}
	return field.ErrorList{field.NotSupported(at, spec.OS.Name, []corev1.OSName{corev1.Linux, corev1.Windows})}
}

func validateClaims(claims []corev1.PodResourceClaim, path *field.Path) field.ErrorList {
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
			errs = append(errs, dnsLabel(c.Name, at.Child("name"))...)
			seen[c.Name] = true
		}
		switch {
		case c.ResourceClaimName != nil && c.ResourceClaimTemplateName != nil:
			errs = append(errs, field.Invalid(at, c, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"))
		case c.ResourceClaimName == nil && c.ResourceClaimTemplateName == nil:
			errs = append(errs, field.Invalid(at, c, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"))
		}
		errs = append(errs, subdomainIfSet(c.ResourceClaimName, at.Child("resourceClaimName"))...)
		errs = append(errs, subdomainIfSet(c.ResourceClaimTemplateName, at.Child("resourceClaimTemplateName"))...)
	}
	return errs
}

func claimNames(claims []corev1.PodResourceClaim) map[string]bool {
	names := map[string]bool{}
	for _, c := range claims {
		if c.Name != "" {
			names[c.Name] = true
		}
	}
	return names
}

func subdomainIfSet(value *string, path *field.Path) field.ErrorList {
	if value == nil {
		return nil
	}
	return subdomain(*value, path)
}

func subdomain(value string, path *field.Path) field.ErrorList {
	return messages(validation.IsDNS1123Subdomain(value), value, path)
}

func dnsLabel(value string, path *field.Path) field.ErrorList {
	return messages(validation.IsDNS1123Label(value), value, path)
}

func qualifiedName(value string, path *field.Path) field.ErrorList {
	return messages(validation.IsQualifiedName(value), value, path)
}

func messages[T any](msgs []string, value T, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range msgs {
		errs = append(errs, field.Invalid(path, value, msg))
	}
	return errs
}

// oneOf requires value to be one of supported.
func oneOf[T ~string](path *field.Path, value T, supported ...T) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return supportedIfSet(path, &value, supported...)
}

// supportedIfSet requires value, where there is one, to be one of supported.
func supportedIfSet[T ~string](path *field.Path, value *T, supported ...T) field.ErrorList {
	if value == nil {
		return nil
	}
	for _, s := range supported {
		if *value == s {
			return nil
		}
	}
	return field.ErrorList{field.NotSupported(path, *value, supported)}
}

func nonNegative(value int64, path *field.Path) field.ErrorList {
	return apivalidation.ValidateNonnegativeField(value, path)
}

func tooMany(what string, most int) string {
	return fmt.Sprintf("must not have more than %v %s", most, what)
}
