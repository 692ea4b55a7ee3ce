package podfields

import corev1 "k8s.io/api/core/v1"

// HostPort is a port that a pod takes on its node.
type HostPort struct {
	// IP is the address of the node, AllAddresses for every one.
	IP       string
	Protocol corev1.Protocol
	Port     int32
}

// AllAddresses is the address of a port that is taken on all addresses.
const AllAddresses = "0.0.0.0"

// HostPorts are the ports that a pod takes on its node: those of its containers and
// sidecars. Plain init containers have ended when somebody may ask for them.
func HostPorts(spec *corev1.PodSpec) (all []HostPort) {
	for at, c := range DeclaredContainers(spec) {
		if at.List == Init && !Sidecar(c) {
			continue
		}
		for _, p := range c.Ports {
			if p.HostPort <= 0 {
				continue
			}
			h := HostPort{IP: p.HostIP, Protocol: p.Protocol, Port: p.HostPort}
			if h.IP == "" {
				h.IP = AllAddresses
			}
			if h.Protocol == "" {
				h.Protocol = corev1.ProtocolTCP
			}
			all = append(all, h)
		}
	}
	return all
}

// Conflicts reports whether two pods cannot have both ports on one node: one on all
// addresses is on each.
func (p HostPort) Conflicts(q HostPort) bool {
	everywhere := p.IP == AllAddresses || q.IP == AllAddresses
	return p.Protocol == q.Protocol && p.Port == q.Port && (everywhere || p.IP == q.IP)
}
