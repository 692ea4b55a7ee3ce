package webhook

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// tries is at how many endpoints of a service a call is tried.
const tries = 3

// service is a port of a service that webhooks are behind.
type service struct {
	client          kubernetes.Interface
	namespace, name string
	port            int32
}

// endpoints returns some of those that are ready, at random. They are read for each call,
// from the caches of the server: a pod that has ended is not asked.
func (s service) endpoints(ctx context.Context) ([]netip.AddrPort, error) {
	cached := "0"
	found, err := s.client.CoreV1().Services(s.namespace).Get(ctx, s.name, metav1.GetOptions{ResourceVersion: cached})
	if err != nil {
		return nil, err
	}
	port, err := portOf(found, s.port)
	if err != nil {
		return nil, err
	}
	slices, err := s.client.DiscoveryV1().EndpointSlices(s.namespace).List(ctx, metav1.ListOptions{
		ResourceVersion: cached, LabelSelector: labels.Set{discoveryv1.LabelServiceName: s.name}.String(),
	})
	if err != nil {
		return nil, err
	}
	all := ready(slices.Items, port)
	if len(all) == 0 {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf(
			"no endpoints available for service %q: see kubectl get pods,endpointslices -n %s, of which none is ready at its port %d", s.name, s.namespace, s.port))
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(len(all), tries)], nil
}

// portOf returns the port of a service that has a number.
func portOf(s *corev1.Service, number int32) (*corev1.ServicePort, error) {
	// An external name would be whatever who may edit the service wants to have asked.
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return nil, fmt.Errorf("unsupported service type %q", s.Spec.Type)
	}
	for i, p := range s.Spec.Ports {
		if p.Port == number && p.Protocol == corev1.ProtocolTCP {
			return &s.Spec.Ports[i], nil
		}
	}
	return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %d found for service %q", number, s.Name))
}

// ready returns the addresses that slices name for a port.
func ready(slices []discoveryv1.EndpointSlice, port *corev1.ServicePort) (all []netip.AddrPort) {
	for _, s := range slices {
		for _, p := range s.Ports {
			if p.Port == nil || ptr.Deref(p.Name, "") != port.Name || ptr.Deref(p.Protocol, corev1.ProtocolTCP) != corev1.ProtocolTCP {
				continue
			}
			for _, e := range s.Endpoints {
				if !ptr.Deref(e.Conditions.Ready, true) {
					continue
				}
				for _, text := range e.Addresses {
					if addr, err := netip.ParseAddr(text); err == nil && elsewhere(addr) {
						all = append(all, netip.AddrPortFrom(addr, uint16(*p.Port)))
					}
				}
			}
		}
	}
	return all
}

// elsewhere tells whether an address is that of one machine: not of the server itself, or
// of whatever is at its side. Slices cannot name others; this does not rely on it.
func elsewhere(addr netip.Addr) bool {
	addr = addr.Unmap()
	return addr.IsGlobalUnicast() && !addr.IsLoopback() && addr.Zone() == ""
}
