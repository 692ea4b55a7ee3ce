package runspec

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Hosts returns the content of a pod's /etc/hosts. On the host's network it is the
// host's own file, given as host; else it has the usual local names and the pod's
// own, for each of its addresses. Both end with spec.hostAliases.
func Hosts(pod *corev1.Pod, ips []string, clusterDomain string, host []byte) []byte {
	var b strings.Builder
	if pod.Spec.HostNetwork {
		b.WriteString("# Kubernetes-managed hosts file (host network).\n")
		b.Write(host)
	} else {
		b.WriteString("# Kubernetes-managed hosts file.\n" +
			"127.0.0.1\tlocalhost\n" +
			"::1\tlocalhost ip6-localhost ip6-loopback\n" +
			"fe00::0\tip6-localnet\n" +
			"fe00::0\tip6-mcastprefix\n" +
			"fe00::1\tip6-allnodes\n" +
			"fe00::2\tip6-allrouters\n")
		names := hostnames(pod, clusterDomain)
		for _, ip := range ips {
			b.WriteString(ip + "\t" + names + "\n")
		}
	}
	if len(pod.Spec.HostAliases) > 0 {
		b.WriteString("\n# Entries added by HostAliases.\n")
		for _, a := range pod.Spec.HostAliases {
			b.WriteString(a.IP + "\t" + strings.Join(a.Hostnames, "\t") + "\n")
		}
	}
	return []byte(b.String())
}

// hostnames are the pod's own names: the full one first when it has a subdomain.
func hostnames(pod *corev1.Pod, clusterDomain string) string {
	short := Hostname(pod)
	if pod.Spec.Subdomain == "" {
		return short
	}
	return short + "." + pod.Spec.Subdomain + "." + pod.Namespace + ".svc." + clusterDomain + "\t" + short
}
