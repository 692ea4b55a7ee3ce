package runspec

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

// maxHostname is the kernel's limit (HOST_NAME_MAX) less one, as upstream cuts it.
const maxHostname = 63

// SandboxOptions is what a sandbox needs beside the pod.
type SandboxOptions struct {
	Instance     string
	Attempt      uint32
	LogDir       string
	CgroupParent string
	DNS          cri.DNS
}

// Sandbox returns the specification of a pod's sandbox.
func Sandbox(pod *corev1.Pod, o SandboxOptions) *cri.SandboxSpec {
	out := &cri.SandboxSpec{
		Name: pod.Name, Namespace: pod.Namespace, UID: string(pod.UID), Attempt: o.Attempt,
		LogDir: o.LogDir, DNS: o.DNS, CgroupParent: o.CgroupParent,
		Labels: sandboxLabels(pod, o.Instance), Annotations: sandboxAnnotations(pod),
		Namespaces: namespaces(pod),
		Security: cri.SandboxSecurity{
			Privileged: anyPrivileged(pod),
			Seccomp:    cri.Profile{Kind: cri.ProfileRuntimeDefault},
		},
	}
	if !pod.Spec.HostNetwork {
		out.Hostname = Hostname(pod)
		out.Ports = ports(pod)
	}
	if sc := pod.Spec.SecurityContext; sc != nil {
		out.Security.RunAsUser, out.Security.RunAsGroup = sc.RunAsUser, sc.RunAsGroup
		out.Security.SupplementalGroups = supplementalGroups(sc)
		out.Security.StrictGroups = strictGroups(sc)
		for _, s := range sc.Sysctls {
			if out.Sysctls == nil {
				out.Sysctls = map[string]string{}
			}
			out.Sysctls[s.Name] = s.Value
		}
	}
	return out
}

// Hostname is the name that a pod sees as its own: spec.hostname, else the pod's
// name, cut to what a host name may be.
func Hostname(pod *corev1.Pod) string {
	name := pod.Spec.Hostname
	if name == "" {
		name = pod.Name
	}
	if len(name) > maxHostname {
		name = strings.TrimRight(name[:maxHostname], "-.")
	}
	return name
}

// ports are those published on the host.
func ports(pod *corev1.Pod) []cri.Port {
	var out []cri.Port
	for _, c := range lifecycle.Only(&pod.Spec, lifecycle.Sidecar, lifecycle.Main) {
		for _, p := range c.Spec.Ports {
			if p.HostPort <= 0 {
				continue
			}
			protocol := string(p.Protocol)
			if protocol == "" {
				protocol = string(corev1.ProtocolTCP)
			}
			out = append(out, cri.Port{Protocol: protocol, ContainerPort: p.ContainerPort, HostPort: p.HostPort, HostIP: p.HostIP})
		}
	}
	return out
}

func namespaces(pod *corev1.Pod) cri.Namespaces {
	return cri.Namespaces{
		HostNetwork: pod.Spec.HostNetwork,
		HostPID:     pod.Spec.HostPID,
		HostIPC:     pod.Spec.HostIPC,
		SharePID:    pod.Spec.ShareProcessNamespace != nil && *pod.Spec.ShareProcessNamespace,
	}
}

func anyPrivileged(pod *corev1.Pod) bool {
	for _, c := range lifecycle.Containers(&pod.Spec) {
		if sc := c.Spec.SecurityContext; sc != nil && sc.Privileged != nil && *sc.Privileged {
			return true
		}
	}
	return false
}
