package backends

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
)

// Port returns the TCP port of a service that has a number. That there is none is a
// status of the API.
func Port(s *corev1.Service, number int64) (*corev1.ServicePort, error) {
	for i, p := range s.Spec.Ports {
		if int64(p.Port) == number && p.Protocol == corev1.ProtocolTCP {
			return &s.Spec.Ports[i], nil
		}
	}
	return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %d found for service %q", number, s.Name))
}

// Endpoint is an address at which a port of a service is served.
type Endpoint struct {
	netip.AddrPort
	// Target is what the address is said to belong to; nil where nothing is said.
	Target *corev1.ObjectReference
}

// Ready returns the ready endpoints that slices name for a TCP port by its name. What is
// no address of one machine is left out.
func Ready(slices []discoveryv1.EndpointSlice, port string) (all []Endpoint) {
	for _, s := range slices {
		for _, p := range s.Ports {
			if p.Port == nil || ptr.Deref(p.Name, "") != port || ptr.Deref(p.Protocol, corev1.ProtocolTCP) != corev1.ProtocolTCP {
				continue
			}
			for _, e := range s.Endpoints {
				if !ptr.Deref(e.Conditions.Ready, true) {
					continue
				}
				for _, text := range e.Addresses {
					if addr, err := netip.ParseAddr(text); err == nil && OneMachine(addr) {
						all = append(all, Endpoint{netip.AddrPortFrom(addr, uint16(*p.Port)), e.TargetRef})
					}
				}
			}
		}
	}
	return all
}

// OneMachine tells whether an address can be that of a machine elsewhere: loopback,
// link-local, multicast and unspecified addresses cannot, nor can one with a zone.
func OneMachine(addr netip.Addr) bool {
	addr = addr.Unmap()
	return addr.IsGlobalUnicast() && !addr.IsLoopback() && addr.Zone() == ""
}
