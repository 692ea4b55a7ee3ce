package podspec

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/podfields"
)

// Warnings returns what is allowed in a pod or template and still likely a mistake,
// and the fields that are not honoured. path is nil for a pod, the template's path
// for a template.
func Warnings(meta *metav1.ObjectMeta, spec *corev1.PodSpec, path *field.Path) []string {
	w := &warner{spec: path.Child("spec")}
	w.deprecatedAnnotations(meta, spec, path.Child("metadata", "annotations"))
	w.deprecatedVolumes(spec)
	w.tokenPaths(spec)
	w.duplicates(spec)
	w.fractions(spec.Overhead, w.spec.Child("overhead"))
	for at, c := range podfields.Containers(spec) {
		w.container(c, pathOf(at, w.spec))
	}
	w.ports(spec)
	if g := spec.TerminationGracePeriodSeconds; g != nil && *g < 0 {
		w.add(w.spec.Child("terminationGracePeriodSeconds"), "must be >= 0; negative values are invalid and will be treated as 1")
	}
	for i, c := range spec.TopologySpreadConstraints {
		if c.LabelSelector == nil {
			w.add(w.spec.Child("topologySpreadConstraints").Index(i).Child("labelSelector"), "a null labelSelector results in matching no pod")
		}
	}
	w.unhonoured(spec, path)
	return w.texts
}

type warner struct {
	spec  *field.Path
	texts []string
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
		key := corev1.SeccompContainerAnnotationKeyPrefix + c.Name
		if _, ok := meta.Annotations[key]; ok && (c.SecurityContext == nil || c.SecurityContext.SeccompProfile == nil) {
			w.add(path.Key(key), seccomp)
		}
	}
}

func (w *warner) deprecatedVolumes(spec *corev1.PodSpec) {
	for i, v := range spec.Volumes {
		for _, d := range []struct {
			set           bool
			name, message string
		}{
			{v.PhotonPersistentDisk != nil, "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"},
			{v.GitRepo != nil, "gitRepo", "deprecated in v1.11"},
			{v.ScaleIO != nil, "scaleIO", "deprecated in v1.16, non-functional in v1.22+"},
			{v.Flocker != nil, "flocker", "deprecated in v1.22, non-functional in v1.25+"},
			{v.StorageOS != nil, "storageOS", "deprecated in v1.22, non-functional in v1.25+"},
			{v.Quobyte != nil, "quobyte", "deprecated in v1.22, non-functional in v1.25+"},
			{v.Glusterfs != nil, "glusterfs", "deprecated in v1.25, non-functional in v1.26+"},
			{v.CephFS != nil, "cephfs", "deprecated in v1.28, non-functional in v1.31+"},
			{v.RBD != nil, "rbd", "deprecated in v1.28, non-functional in v1.31+"},
		} {
			if d.set {
				w.add(w.spec.Child("volumes").Index(i).Child(d.name), "%s", d.message)
			}
		}
	}
}

// tokenPaths warns of files with the path of a projected token: validation does not
// refuse them, and one hides the other.
func (w *warner) tokenPaths(spec *corev1.PodSpec) {
	tokens := map[string]bool{}
	for _, v := range spec.Volumes {
		if v.Projected != nil {
			for _, s := range v.Projected.Sources {
				if s.ServiceAccountToken != nil {
					tokens[s.ServiceAccountToken.Path] = true
				}
			}
		}
	}
	if len(tokens) == 0 {
		return
	}
	for i, v := range spec.Volumes {
		if v.Projected == nil {
			continue
		}
		at := w.spec.Child("volumes").Index(i)
		check := func(path *field.Path, file string) {
			if tokens[file] {
				w.add(path, "has duplicated path with ServiceAccountToken %q", file)
			}
		}
		for _, s := range v.Projected.Sources {
			checkFiles(&s, at, check)
		}
	}
}

func checkFiles(s *corev1.VolumeProjection, at *field.Path, check func(path *field.Path, file string)) {
	if s.ConfigMap != nil {
		for j, item := range s.ConfigMap.Items {
			check(at.Child("projected", "sources", "configMap").Index(j), item.Path)
		}
	}
	if s.Secret != nil {
		for j, item := range s.Secret.Items {
			check(at.Child("projected", "sources", "secrets").Index(j), item.Path)
		}
	}
	if s.DownwardAPI != nil {
		for j, item := range s.DownwardAPI.Items {
			check(at.Child("projected", "sources", "downwardAPI").Index(j), item.Path)
		}
	}
	if s.ClusterTrustBundle != nil {
		check(at.Child("projected", "sources", "ClusterTrustBundle"), s.ClusterTrustBundle.Path)
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
