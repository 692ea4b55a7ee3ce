package runspec

import (
	"bufio"
	"bytes"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/runtime/cri"
)

// ParseResolvConf reads a resolver configuration (resolv.conf(5)): the last search
// line counts, options add up.
func ParseResolvConf(data []byte) cri.DNS {
	var out cri.DNS
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		line := lines.Text()
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = line[:i]
		}
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			out.Servers = append(out.Servers, fields[1])
		case "search":
			out.Searches = fields[1:]
		case "options":
			out.Options = append(out.Options, fields[1:]...)
		}
	}
	return out
}

// OnlyLoopback reports whether no server of the configuration is reachable from a
// pod: a local stub resolver (systemd-resolved's 127.0.0.53) is not.
func OnlyLoopback(d cri.DNS) bool {
	for _, s := range d.Servers {
		if addr, err := netip.ParseAddr(s); err != nil || !addr.IsLoopback() {
			return false
		}
	}
	return len(d.Servers) > 0
}

// DNS returns a pod's resolver configuration and whether the pod asks for the
// cluster's DNS, which stands on the host's configuration until there is one.
func DNS(pod *corev1.Pod, host cri.DNS) (dns cri.DNS, wantsCluster bool) {
	switch pod.Spec.DNSPolicy {
	case corev1.DNSNone:
	case corev1.DNSClusterFirst:
		dns, wantsCluster = host, !pod.Spec.HostNetwork
	case corev1.DNSClusterFirstWithHostNet:
		dns, wantsCluster = host, true
	default:
		dns = host
	}
	if c := pod.Spec.DNSConfig; c != nil {
		dns.Servers = union(dns.Servers, c.Nameservers)
		dns.Searches = union(dns.Searches, c.Searches)
		dns.Options = mergeOptions(dns.Options, c.Options)
	}
	return dns, wantsCluster
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// mergeOptions lets the pod's option replace the host's of the same name.
func mergeOptions(host []string, pod []corev1.PodDNSConfigOption) []string {
	var out []string
	for _, o := range host {
		name, _, _ := strings.Cut(o, ":")
		if !slices.ContainsFunc(pod, func(p corev1.PodDNSConfigOption) bool { return p.Name == name }) {
			out = append(out, o)
		}
	}
	for _, p := range pod {
		if p.Value != nil && *p.Value != "" {
			out = append(out, p.Name+":"+*p.Value)
		} else {
			out = append(out, p.Name)
		}
	}
	return out
}
