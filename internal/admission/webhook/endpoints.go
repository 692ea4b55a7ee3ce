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

	"laterna.dev/laterna/internal/network/backends"
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
	// An external name would be whatever who may edit the service wants to have asked.
	if found.Spec.Type == corev1.ServiceTypeExternalName {
		return nil, fmt.Errorf("unsupported service type %q", found.Spec.Type)
	}
	port, err := backends.Port(found, int64(s.port))
	if err != nil {
		return nil, err
	}
	slices, err := s.client.DiscoveryV1().EndpointSlices(s.namespace).List(ctx, metav1.ListOptions{
		ResourceVersion: cached, LabelSelector: labels.Set{discoveryv1.LabelServiceName: s.name}.String(),
	})
	if err != nil {
		return nil, err
	}
	all := backends.Ready(slices.Items, port.Name)
	if len(all) == 0 {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf(
			"no endpoints available for service %q: see kubectl get pods,endpointslices -n %s, of which none is ready at its port %d", s.name, s.namespace, s.port))
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var some []netip.AddrPort
	for _, e := range all[:min(len(all), tries)] {
		some = append(some, e.AddrPort)
	}
	return some, nil
}
