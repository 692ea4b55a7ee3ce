package runspec

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/runtime/cri"
)

func TestDNS(t *testing.T) {
	host := cri.DNS{Servers: []string{"192.0.2.53", "192.0.2.54"}, Searches: []string{"a.example", "b.example"}, Options: []string{"ndots:2", "rotate"}}
	own := &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.54", "192.0.2.99"}, Searches: []string{"c.example", "svc.example.org"}, Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: ptr("7")}, {Name: "edns0"}}}
	cluster := cri.DNS{
		Servers: []string{"10.96.0.10"}, Options: []string{"ndots:5"},
		Searches: []string{"ns.svc.example.org", "svc.example.org", "example.org", "a.example", "b.example"},
	}
	for name, tt := range map[string]struct {
		policy  corev1.DNSPolicy
		hostNet bool
		config  *corev1.PodDNSConfig
		without bool // there is no DNS of the cluster
		want    cri.DNS
		lacks   bool
	}{
		"default":                                 {policy: corev1.DNSDefault, want: host},
		"cluster first":                           {policy: corev1.DNSClusterFirst, want: cluster},
		"cluster first, host net":                 {policy: corev1.DNSClusterFirst, hostNet: true, want: host},
		"cluster first with hostnet":              {policy: corev1.DNSClusterFirstWithHostNet, hostNet: true, want: cluster},
		"cluster first with hostnet without":      {policy: corev1.DNSClusterFirstWithHostNet, want: cluster},
		"no cluster: cluster first":               {policy: corev1.DNSClusterFirst, without: true, want: host, lacks: true},
		"no cluster: cluster first, host net":     {policy: corev1.DNSClusterFirst, without: true, hostNet: true, want: host},
		"no cluster: cluster first with host net": {policy: corev1.DNSClusterFirstWithHostNet, without: true, hostNet: true, want: host, lacks: true},
		"none": {policy: corev1.DNSNone, config: own, want: cri.DNS{Servers: own.Nameservers, Searches: own.Searches, Options: []string{"ndots:7", "edns0"}}},
		"merged": {policy: corev1.DNSDefault, config: own, want: cri.DNS{
			Servers: []string{"192.0.2.53", "192.0.2.54", "192.0.2.99"}, Searches: []string{"a.example", "b.example", "c.example", "svc.example.org"}, Options: []string{"rotate", "ndots:7", "edns0"}}},
		"merged into the cluster's": {policy: corev1.DNSClusterFirst, config: own, want: cri.DNS{
			Servers:  []string{"10.96.0.10", "192.0.2.54", "192.0.2.99"},
			Searches: append(slices.Clone(cluster.Searches), "c.example"), Options: []string{"ndots:7", "edns0"}}},
	} {
		p := testPod()
		p.Namespace, p.Spec.DNSPolicy, p.Spec.HostNetwork, p.Spec.DNSConfig = "ns", tt.policy, tt.hostNet, tt.config
		r := Resolver{Host: host, Cluster: netip.MustParseAddr("10.96.0.10"), Domain: "example.org"}
		if tt.without {
			r.Cluster = netip.Addr{}
		}
		if got := r.DNS(p); !reflect.DeepEqual(got, PodDNS{DNS: tt.want, Lacks: tt.lacks}) {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

// TestResolverIsNotGivenMoreThanItBears has what the machine and the pod say together.
func TestResolverIsNotGivenMoreThanItBears(t *testing.T) {
	long := strings.Repeat("a.", 126) + "aa" // 254 characters
	var many, wide []string
	for i := range 33 {
		many = append(many, fmt.Sprintf("%d.example", i))
	}
	for i := range 10 {
		wide = append(wide, fmt.Sprintf("%0249d.x", i)) // 10 × 251 and 9 blanks
	}
	for name, tt := range map[string]struct {
		host     cri.DNS
		servers  []string
		searches []string
		notes    []string
	}{
		"servers": {
			host:    cri.DNS{Servers: []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}},
			servers: []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"},
			notes:   []string{"Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 192.0.2.1 192.0.2.2 192.0.2.3"},
		},
		"many searches": {
			host:     cri.DNS{Searches: many},
			searches: many[:32],
			notes:    []string{"Search Line limits were exceeded, some search paths have been omitted, the applied search line is: " + strings.Join(many[:32], " ")},
		},
		"a long search": {
			host:     cri.DNS{Searches: []string{"a.example", long, "b.example"}},
			searches: []string{"a.example", "b.example"},
			notes:    []string{"Search Line limits were exceeded, some search paths have been omitted, the applied search line is: a.example b.example"},
		},
		"searches that are long together": {
			host:     cri.DNS{Searches: wide},
			searches: wide[:8],
			notes:    []string{"Search Line limits were exceeded, some search paths have been omitted, the applied search line is: " + strings.Join(wide[:8], " ")},
		},
		"as much as fits": {host: cri.DNS{Servers: three, Searches: many[:32]}, servers: three, searches: many[:32]},
	} {
		p := testPod()
		p.Spec.DNSPolicy = corev1.DNSDefault
		want := PodDNS{DNS: cri.DNS{Servers: tt.servers, Searches: tt.searches}, Notes: tt.notes}
		if got := (Resolver{Host: tt.host}).DNS(p); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

var three = []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}
