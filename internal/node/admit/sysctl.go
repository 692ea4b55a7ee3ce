package admit

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/status"
)

// safeSysctls are the kernel parameters that a pod may set: each belongs to a namespace
// that the pod has for itself, and cannot harm other pods. They are upstream's.
var safeSysctls = []string{
	"kernel.shm_rmid_forced",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.ip_local_reserved_ports",
	"net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.ping_group_range",
	"net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes",
	"net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_notsent_lowat",
	"net.ipv4.tcp_rmem",
	"net.ipv4.tcp_slow_start_after_idle",
	"net.ipv4.tcp_syncookies",
	"net.ipv4.tcp_wmem",
}

// forbiddenSysctl refuses a pod that sets a kernel parameter which is not safe, or one
// of a namespace that it shares with the host.
func forbiddenSysctl(spec *corev1.PodSpec) *status.Waiting {
	if spec.SecurityContext == nil {
		return nil
	}
	for _, s := range spec.SecurityContext.Sysctls {
		name := dotted(s.Name)
		switch {
		case !slices.Contains(safeSysctls, name):
			return refusal("SysctlForbidden", "forbidden sysctl: %q not allowlisted", s.Name)
		case spec.HostNetwork && strings.HasPrefix(name, "net."):
			return refusal("SysctlForbidden", "forbidden sysctl: %q not allowed with host net enabled", s.Name)
		case spec.HostIPC && !strings.HasPrefix(name, "net."):
			return refusal("SysctlForbidden", "forbidden sysctl: %q not allowed with host ipc enabled", s.Name)
		}
	}
	return nil
}

// dotted is a parameter's name with dots where it was written with slashes: what comes
// first says which is which, and the other is part of a name.
func dotted(name string) string {
	i := strings.IndexAny(name, "./")
	if i < 0 || name[i] == '.' {
		return name
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '/':
			return '.'
		case '.':
			return '/'
		}
		return r
	}, name)
}
