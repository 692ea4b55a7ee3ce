package serviceapi

import (
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/network/services"
)

// protocol is that of the API in nftables' words; TCP where it is not said.
func protocol(p corev1.Protocol) services.Protocol {
	if p == "" {
		return services.TCP
	}
	return services.Protocol(strings.ToLower(string(p)))
}

// port is a number of the API, 0 for what is none.
func port(n int32) uint16 {
	if n < 1 || n > 65535 {
		return 0
	}
	return uint16(n)
}

// addr reads an address of IPv4; it is not valid for anything else.
func addr(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Unmap().Is4() {
		return netip.Addr{}
	}
	return a.Unmap()
}

func addrs(all []string) (found []netip.Addr) {
	for _, s := range all {
		if a := addr(s); a.IsValid() {
			found = append(found, a)
		}
	}
	return found
}

// service reads what the network needs of a service; ok is whether it has an address to lead
// to.
func service(s *corev1.Service) (read services.Service, ok bool) {
	read.Name, read.Created = services.Name{Namespace: s.Namespace, Name: s.Name}, s.CreationTimestamp.Time
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return read, false
	}
	for _, a := range addrs(append([]string{s.Spec.ClusterIP}, s.Spec.ClusterIPs...)) {
		read.ClusterIP = a
		break
	}
	if !read.ClusterIP.IsValid() {
		return read, false
	}
	read.External = addrs(s.Spec.ExternalIPs)
	read.InternalLocal = ptr.Deref(s.Spec.InternalTrafficPolicy, "") == corev1.ServiceInternalTrafficPolicyLocal
	read.ExternalLocal = s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
	if s.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		read.Affinity = affinity(s.Spec.SessionAffinityConfig)
	}
	if s.Spec.Type == corev1.ServiceTypeLoadBalancer {
		balanced(&read, s)
	}
	for _, p := range s.Spec.Ports {
		one := services.Port{Name: p.Name, Protocol: protocol(p.Protocol), Port: port(p.Port)}
		if s.Spec.Type == corev1.ServiceTypeNodePort || s.Spec.Type == corev1.ServiceTypeLoadBalancer {
			one.NodePort = port(p.NodePort)
		}
		read.Ports = append(read.Ports, one)
	}
	return read, true
}

func affinity(c *corev1.SessionAffinityConfig) time.Duration {
	seconds := corev1.DefaultClientIPServiceAffinitySeconds
	if c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		seconds = *c.ClientIP.TimeoutSeconds
	}
	return time.Duration(max(1, seconds)) * time.Second
}

// balanced reads what a load balancer has; one that is a proxy sends to addresses of its own
// (ipMode, KEP-1860).
func balanced(read *services.Service, s *corev1.Service) {
	if read.ExternalLocal {
		read.HealthPort = port(s.Spec.HealthCheckNodePort)
	}
	for _, in := range s.Status.LoadBalancer.Ingress {
		if a := addr(in.IP); a.IsValid() && ptr.Deref(in.IPMode, corev1.LoadBalancerIPModeVIP) == corev1.LoadBalancerIPModeVIP {
			read.Balanced = append(read.Balanced, a)
		}
	}
	for _, r := range s.Spec.LoadBalancerSourceRanges {
		// One that cannot be read, or of IPv6, lets nobody in; it must not let everybody.
		p, err := netip.ParsePrefix(strings.TrimSpace(r))
		if err != nil || !p.Addr().Is4() {
			p = netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), 32)
		}
		read.Sources = append(read.Sources, p.Masked())
	}
}

// slice reads what the network needs of a slice.
func slice(s *discoveryv1.EndpointSlice) *services.Slice {
	read := &services.Slice{}
	for _, p := range s.Ports {
		read.Ports = append(read.Ports, services.SlicePort{
			Name: ptr.Deref(p.Name, ""), Protocol: protocol(ptr.Deref(p.Protocol, "")), Port: port(ptr.Deref(p.Port, 0)),
		})
	}
	for _, e := range s.Endpoints {
		if len(e.Addresses) == 0 {
			continue
		}
		one := services.Endpoint{
			Addr:  addr(e.Addresses[0]),
			Ready: ptr.Deref(e.Conditions.Ready, true), Serving: ptr.Deref(e.Conditions.Serving, ptr.Deref(e.Conditions.Ready, true)),
			Terminating: ptr.Deref(e.Conditions.Terminating, false), Node: ptr.Deref(e.NodeName, ""),
		}
		if e.Hints != nil {
			for _, n := range e.Hints.ForNodes {
				one.Nodes = append(one.Nodes, n.Name)
			}
			for _, z := range e.Hints.ForZones {
				one.Zones = append(one.Zones, z.Name)
			}
		}
		read.Endpoints = append(read.Endpoints, one)
	}
	return read
}
