package runspec

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"laterna.dev/laterna/internal/runtime/cri"
)

// Resolver is what pods' resolver configurations are made of.
type Resolver struct {
	// Host is the machine's configuration, as far as it is of use in a pod.
	Host cri.DNS
	// Cluster is where the cluster's DNS is asked, not valid where there is none; then
	// pods that want it get the machine's.
	Cluster netip.Addr
	// Domain is that of the cluster.
	Domain string
}

// PodDNS is how a pod resolves names.
type PodDNS struct {
	cri.DNS
	// Lacks says that the pod asks for the cluster's DNS and there is none.
	Lacks bool
	// Notes say what was left out, in the kubelet's words.
	Notes []string
}

// DNS returns a pod's resolver configuration.
func (r Resolver) DNS(pod *corev1.Pod) PodDNS {
	var out PodDNS
	switch policy := pod.Spec.DNSPolicy; {
	case policy == corev1.DNSNone:
	case policy == corev1.DNSClusterFirstWithHostNet, policy == corev1.DNSClusterFirst && !pod.Spec.HostNetwork:
		if !r.Cluster.IsValid() {
			out.Lacks, out.DNS = true, r.Host
			break
		}
		out.DNS = r.clusterFirst(pod.Namespace)
	default:
		out.DNS = r.Host
	}
	if c := pod.Spec.DNSConfig; c != nil {
		out.Servers = union(out.Servers, c.Nameservers)
		out.Searches = union(out.Searches, c.Searches)
		out.Options = mergeOptions(out.Options, c.Options)
	}
	out.limit()
	return out
}

// clusterFirst asks the cluster's DNS alone, which asks the machine's servers itself. Names
// with fewer than five dots may be of the cluster: _https._tcp.kubernetes.default.svc has four.
func (r Resolver) clusterFirst(namespace string) cri.DNS {
	return cri.DNS{
		Servers:  []string{r.Cluster.String()},
		Searches: union([]string{namespace + ".svc." + r.Domain, "svc." + r.Domain, r.Domain}, r.Host.Searches),
		Options:  []string{"ndots:5"},
	}
}

// Limits of the C library's resolver, the kubelet's.
const (
	maxServers     = 3
	maxSearches    = 32
	maxSearchChars = 2048
)

// limit leaves out what a resolver would not bear, the last first, and notes it.
func (d *PodDNS) limit() {
	if len(d.Servers) > maxServers {
		d.Servers = d.Servers[:maxServers]
		d.Notes = append(d.Notes, "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "+strings.Join(d.Servers, " "))
	}
	all := len(d.Searches)
	fit := slices.DeleteFunc(slices.Clone(d.Searches[:min(all, maxSearches)]), func(s string) bool {
		return len(s) > validation.DNS1123SubdomainMaxLength
	})
	for len(strings.Join(fit, " ")) > maxSearchChars {
		fit = fit[:len(fit)-1]
	}
	if len(fit) < all {
		d.Searches = fit
		d.Notes = append(d.Notes, "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "+strings.Join(fit, " "))
	}
}

func union(a, b []string) []string {
	var out []string
	for _, s := range slices.Concat(a, b) {
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
