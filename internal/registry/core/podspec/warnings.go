package podspec

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/registry/core/podspec/scheduling"
	"laterna.dev/laterna/internal/registry/core/podspec/volumes"
)

// Warnings returns what is allowed in a pod or template and still likely a mistake,
// and the fields that are not honoured. path is nil for a pod, the template's path
// for a template.
func Warnings(meta *metav1.ObjectMeta, spec *corev1.PodSpec, path *field.Path) []string {
	w := &warner{spec: path.Child("spec"), template: path != nil}
	w.texts = append(w.texts, scheduling.LabelWarnings(spec, w.spec)...)
	w.deprecatedAnnotations(meta, spec, path.Child("metadata", "annotations"))
	w.texts = append(w.texts, volumes.Warnings(spec.Volumes, w.spec.Child("volumes"))...)
	w.duplicates(spec)
	w.fractions(spec.Overhead, w.spec.Child("overhead"))
	for at, c := range podfields.Containers(spec) {
		w.container(c, pathOf(at, w.spec))
	}
	w.ports(spec)
	w.portNames(spec)
	if g := spec.TerminationGracePeriodSeconds; g != nil && *g < 0 {
		w.add(w.spec.Child("terminationGracePeriodSeconds"), "%s", negativeGrace)
	}
	w.texts = append(w.texts, scheduling.AffinityWarnings(spec.Affinity, w.spec.Child("affinity"))...)
	w.addresses(spec)
	w.unhonoured(spec, path)
	return w.texts
}

type warner struct {
	spec     *field.Path
	template bool
	texts    []string
}

func (w *warner) add(path *field.Path, format string, args ...any) {
	w.texts = append(w.texts, path.String()+": "+fmt.Sprintf(format, args...))
}

func (w *warner) unhonoured(spec *corev1.PodSpec, path *field.Path) {
	prefix := ""
	if path != nil {
		prefix = path.String() + "."
	}
	for _, f := range podfields.Unhonoured(spec) {
		w.texts = append(w.texts, prefix+f.String())
	}
}

func (w *warner) deprecatedAnnotations(meta *metav1.ObjectMeta, spec *corev1.PodSpec, path *field.Path) {
	for _, d := range []struct{ key, message string }{
		{"scheduler.alpha.kubernetes.io/critical-pod", `non-functional in v1.16+; use the "priorityClassName" field instead`},
		{"security.alpha.kubernetes.io/sysctls", `non-functional in v1.11+; use the "sysctls" field instead`},
		{"security.alpha.kubernetes.io/unsafe-sysctls", `non-functional in v1.11+; use the "sysctls" field instead`},
	} {
		if _, ok := meta.Annotations[d.key]; ok {
			w.add(path.Key(d.key), "%s", d.message)
		}
	}
	const seccomp = `non-functional in v1.27+; use the "seccompProfile" field instead`
	if _, ok := meta.Annotations[corev1.SeccompPodAnnotationKey]; ok && (spec.SecurityContext == nil || spec.SecurityContext.SeccompProfile == nil) {
		w.add(path.Key(corev1.SeccompPodAnnotationKey), seccomp)
	}
	for _, c := range podfields.Containers(spec) {
		w.appArmorAnnotation(meta, spec, c, path)
		key := corev1.SeccompContainerAnnotationKeyPrefix + c.Name
		if _, ok := meta.Annotations[key]; ok && (c.SecurityContext == nil || c.SecurityContext.SeccompProfile == nil) {
			w.add(path.Key(key), seccomp)
		}
	}
}

func (w *warner) duplicates(spec *corev1.PodSpec) {
	seen := map[string]bool{}
	for i, a := range spec.HostAliases {
		if seen[a.IP] {
			w.add(w.spec.Child("hostAliases").Index(i).Child("ip"), "duplicate ip %q", a.IP)
		}
		seen[a.IP] = true
	}
	seen = map[string]bool{}
	for i, s := range spec.ImagePullSecrets {
		at := w.spec.Child("imagePullSecrets").Index(i).Child("name")
		if seen[s.Name] {
			w.add(at, "duplicate name %q", s.Name)
		}
		seen[s.Name] = true
		if s.Name == "" {
			w.add(at, "invalid empty name %q", s.Name)
		}
	}
}

// appArmorAnnotation warns of annotations in templates; those of pods are warned of by
// PrepareCreate, which turns them into fields.
func (w *warner) appArmorAnnotation(meta *metav1.ObjectMeta, spec *corev1.PodSpec, c *corev1.Container, path *field.Path) {
	key := corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix + c.Name
	if _, ok := meta.Annotations[key]; ok && w.template && appArmorOf(spec, c) == nil {
		w.add(path.Key(key), "%s", appArmorAnnotation)
	}
}

// fractions warns of quantities of bytes that are not whole.
func (w *warner) fractions(list corev1.ResourceList, path *field.Path) {
	for _, name := range []corev1.ResourceName{corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if q, ok := list[name]; ok && q.MilliValue()%1000 != 0 {
			w.add(path.Key(string(name)), "fractional byte value %q is invalid, must be an integer", q.String())
		}
	}
}

func (w *warner) container(c *corev1.Container, path *field.Path) {
	w.fractions(c.Resources.Limits, path.Child("resources", "limits"))
	w.fractions(c.Resources.Requests, path.Child("resources", "requests"))
	seen := map[string]bool{}
	for i, v := range c.Env {
		// X="$(X) more" builds on the earlier X; anything else hides it.
		ref := "$(" + v.Name + ")"
		if seen[v.Name] && (v.ValueFrom != nil || v.Value == ref || !strings.Contains(v.Value, ref)) {
			w.add(path.Child("env").Index(i), "hides previous definition of %q, which may be dropped when using apply", v.Name)
		}
		seen[v.Name] = true
	}
}

// namedPort is a container port and where it is defined.
type namedPort struct {
	corev1.ContainerPort
	path *field.Path
}

func (w *warner) ports(spec *corev1.PodSpec) {
	all := map[string][]namedPort{}
	for place, c := range podfields.Containers(spec) {
		for i, p := range c.Ports {
			at := pathOf(place, w.spec).Child("ports").Index(i)
			if p.HostIP != "" && p.HostPort == 0 {
				w.add(at, "hostIP set without hostPort: %+v", p)
			}
			key := fmt.Sprintf("%d/%s", p.ContainerPort, p.Protocol)
			for _, other := range all[key] {
				w.portPair(at, p, other)
			}
			all[key] = append(all[key], namedPort{p, at})
		}
	}
}

func (w *warner) portPair(path *field.Path, p corev1.ContainerPort, other namedPort) {
	switch {
	case p.HostIP == other.HostIP && p.HostPort == other.HostPort:
		w.add(path, "duplicate port definition with %s", other.path)
	case p.HostPort == 0 || other.HostPort == 0:
		w.add(path, "overlapping port definition with %s", other.path)
	case p.HostPort == other.HostPort && (p.HostIP == "") != (other.HostIP == ""):
		w.add(path, "dangerously ambiguous port definition with %s", other.path)
	}
}

// portNames warns of names that more than one container has given, of which only the
// first is found by name.
func (w *warner) portNames(spec *corev1.PodSpec) {
	first := map[string]*field.Path{}
	for place, c := range podfields.Containers(spec) {
		for i, p := range c.Ports {
			if p.Name == "" {
				continue
			}
			at := pathOf(place, w.spec).Child("ports").Index(i)
			if other := first[p.Name]; other != nil {
				w.add(at, "duplicate port name %q with %s, services and probes that select ports by name will use %s", p.Name, other, other)
			} else {
				first[p.Name] = at
			}
		}
	}
}

// addresses warns of spellings of addresses that not everybody reads alike.
func (w *warner) addresses(spec *corev1.PodSpec) {
	if spec.DNSConfig != nil {
		for i, ns := range spec.DNSConfig.Nameservers {
			w.texts = append(w.texts, validation.GetWarningsForIP(w.spec.Child("dnsConfig", "nameservers").Index(i), ns)...)
		}
	}
	for i, a := range spec.HostAliases {
		w.texts = append(w.texts, validation.GetWarningsForIP(w.spec.Child("hostAliases").Index(i).Child("ip"), a.IP)...)
	}
}
