package podspec

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/registry/core/podspec/containers"
	"laterna.dev/laterna/internal/registry/core/podspec/resources"
	"laterna.dev/laterna/internal/registry/core/podspec/volumes"
	"laterna.dev/laterna/internal/registry/quantity"
)

// SetPodDefaults fills in what a pod leaves open. It does all that SetDefaults
// does, and what holds for pods but not for templates: requests follow limits,
// host ports follow container ports on the host network.
func SetPodDefaults(pod *corev1.Pod) {
	spec := &pod.Spec
	capQuantities(spec)
	for _, c := range podfields.DeclaredContainers(spec) {
		resources.RequestsFromLimits(&c.Resources)
	}
	resources.DefaultPod(pod)
	if spec.EnableServiceLinks == nil {
		spec.EnableServiceLinks = ptr.To(corev1.DefaultEnableServiceLinks)
	}
	if spec.HostNetwork {
		for _, c := range podfields.DeclaredContainers(spec) {
			containers.HostPorts(c)
		}
	}
	SetDefaults(spec)
}

// SetDefaults fills in what a pod spec, in a pod or in a template, leaves open.
func SetDefaults(spec *corev1.PodSpec) {
	capQuantities(spec)
	if spec.DNSPolicy == "" {
		spec.DNSPolicy = corev1.DNSClusterFirst
	}
	if spec.RestartPolicy == "" {
		spec.RestartPolicy = corev1.RestartPolicyAlways
	}
	if spec.SecurityContext == nil {
		spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	if spec.TerminationGracePeriodSeconds == nil {
		spec.TerminationGracePeriodSeconds = ptr.To[int64](corev1.DefaultTerminationGracePeriodSeconds)
	}
	if spec.SchedulerName == "" {
		spec.SchedulerName = corev1.DefaultSchedulerName
	}
	SyncServiceAccount(spec)
	for i := range spec.Volumes {
		volumes.Default(&spec.Volumes[i])
	}
	for _, c := range podfields.Containers(spec) {
		containers.Default(c)
	}
	resources.RoundUp(spec.Overhead)
	if spec.Resources != nil {
		resources.RoundUp(spec.Resources.Limits)
		resources.RoundUp(spec.Resources.Requests)
	}
}

// SyncServiceAccount makes the deprecated field serviceAccount and
// serviceAccountName agree; serviceAccountName wins.
func SyncServiceAccount(spec *corev1.PodSpec) {
	if spec.ServiceAccountName == "" {
		spec.ServiceAccountName = spec.DeprecatedServiceAccount
	}
	spec.DeprecatedServiceAccount = spec.ServiceAccountName
}

// capQuantities caps the amounts of a spec at what the API stores, since nothing is
// safe to compute with them before.
func capQuantities(spec *corev1.PodSpec) {
	all := []corev1.ResourceList{spec.Overhead}
	for _, c := range podfields.Containers(spec) {
		all = append(all, c.Resources.Limits, c.Resources.Requests)
		for i := range c.Env {
			if from := c.Env[i].ValueFrom; from != nil && from.ResourceFieldRef != nil {
				from.ResourceFieldRef.Divisor = quantity.Cap(from.ResourceFieldRef.Divisor)
			}
		}
	}
	if spec.Resources != nil {
		all = append(all, spec.Resources.Limits, spec.Resources.Requests)
	}
	for _, list := range all {
		for name, q := range list {
			list[name] = quantity.Cap(q)
		}
	}
	for i := range spec.Volumes {
		volumes.Cap(&spec.Volumes[i])
	}
}
