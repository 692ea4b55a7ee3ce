package podspec

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/registry/quantity"
)

// SetPodDefaults fills in what a pod leaves open. It does all that SetDefaults
// does, and what holds for pods but not for templates: requests follow limits,
// host ports follow container ports on the host network.
func SetPodDefaults(pod *corev1.Pod) {
	spec := &pod.Spec
	capQuantities(spec)
	for _, c := range podfields.DeclaredContainers(spec) {
		requestsFromLimits(&c.Resources)
	}
	podRequests(pod)
	if spec.EnableServiceLinks == nil {
		spec.EnableServiceLinks = ptr.To(corev1.DefaultEnableServiceLinks)
	}
	if spec.HostNetwork {
		for _, c := range podfields.DeclaredContainers(spec) {
			hostPorts(c)
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
		defaultVolume(&spec.Volumes[i])
	}
	for _, c := range podfields.Containers(spec) {
		defaultContainer(c)
	}
	roundUp(spec.Overhead)
	if spec.Resources != nil {
		roundUp(spec.Resources.Limits)
		roundUp(spec.Resources.Requests)
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

func requestsFromLimits(r *corev1.ResourceRequirements) {
	if r.Limits == nil {
		return
	}
	if r.Requests == nil {
		r.Requests = corev1.ResourceList{}
	}
	for name, limit := range r.Limits {
		if _, ok := r.Requests[name]; !ok {
			r.Requests[name] = limit.DeepCopy()
		}
	}
}

func hostPorts(c *corev1.Container) {
	for i := range c.Ports {
		if p := &c.Ports[i]; p.HostPort == 0 {
			p.HostPort = p.ContainerPort
		}
	}
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
		capVolume(&spec.Volumes[i])
	}
}

// roundUp rounds quantities up to a thousandth, the finest the API stores.
func roundUp(list corev1.ResourceList) {
	for name, q := range list {
		q.RoundUp(resource.Milli)
		list[name] = q
	}
}

func defaultContainer(c *corev1.Container) {
	if c.ImagePullPolicy == "" {
		c.ImagePullPolicy = pullPolicy(c.Image)
	}
	if c.TerminationMessagePath == "" {
		c.TerminationMessagePath = corev1.TerminationMessagePathDefault
	}
	if c.TerminationMessagePolicy == "" {
		c.TerminationMessagePolicy = corev1.TerminationMessageReadFile
	}
	for i := range c.Ports {
		if c.Ports[i].Protocol == "" {
			c.Ports[i].Protocol = corev1.ProtocolTCP
		}
	}
	for i := range c.Env {
		defaultEnvSource(c.Env[i].ValueFrom)
	}
	roundUp(c.Resources.Limits)
	roundUp(c.Resources.Requests)
	for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		defaultProbe(probe)
	}
	if c.Lifecycle != nil {
		for _, h := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
			if h != nil {
				defaultHTTPGet(h.HTTPGet)
			}
		}
	}
}

// pullPolicy is Always for the tag latest, written or implied, else IfNotPresent.
func pullPolicy(image string) corev1.PullPolicy {
	if imageTag(image) == "latest" {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

func defaultEnvSource(from *corev1.EnvVarSource) {
	if from == nil {
		return
	}
	defaultFieldRef(from.FieldRef)
	if from.FileKeyRef != nil && from.FileKeyRef.Optional == nil {
		from.FileKeyRef.Optional = ptr.To(false)
	}
}

func defaultFieldRef(ref *corev1.ObjectFieldSelector) {
	if ref != nil && ref.APIVersion == "" {
		ref.APIVersion = "v1"
	}
}

func defaultProbe(p *corev1.Probe) {
	if p == nil {
		return
	}
	for _, field := range []struct {
		value *int32
		def   int32
	}{{&p.TimeoutSeconds, 1}, {&p.PeriodSeconds, 10}, {&p.SuccessThreshold, 1}, {&p.FailureThreshold, 3}} {
		if *field.value == 0 {
			*field.value = field.def
		}
	}
	defaultHTTPGet(p.HTTPGet)
	if p.GRPC != nil && p.GRPC.Service == nil {
		p.GRPC.Service = ptr.To("")
	}
}

func defaultHTTPGet(h *corev1.HTTPGetAction) {
	if h == nil {
		return
	}
	if h.Path == "" {
		h.Path = "/"
	}
	if h.Scheme == "" {
		h.Scheme = corev1.URISchemeHTTP
	}
}
