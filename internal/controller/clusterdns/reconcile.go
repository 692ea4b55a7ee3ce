package clusterdns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/network/backends"
)

const (
	// service and its labels and ports are those of upstream's add-on, which others look for.
	service = "kube-dns"
	port    = 53
	// manager marks the slices that are this controller's; no others may lead the service,
	// such as those for pods that a selector has found once.
	manager = "cluster-dns-controller.laterna.dev"
	// mirroring marks the slices that are made of Endpoints.
	mirroring = "endpointslicemirroring-controller.k8s.io"
)

// ports are those of the service, by protocol.
var ports = []struct {
	name     string
	protocol corev1.Protocol
}{{"dns", corev1.ProtocolUDP}, {"dns-tcp", corev1.ProtocolTCP}}

// reconciler decides about the service and its slices; its fields read from caches and
// write to the API.
type reconciler struct {
	address       netip.Addr
	nodes         func() ([]*corev1.Node, error)
	service       func() (*corev1.Service, error)
	slices        func() ([]*discoveryv1.EndpointSlice, error)
	createService func(ctx context.Context, s *corev1.Service) error
	updateService run.Commit[*corev1.Service]
	deleteService func(ctx context.Context, s *corev1.Service) error
	createSlice   func(ctx context.Context, s *discoveryv1.EndpointSlice) error
	updateSlice   run.Commit[*discoveryv1.EndpointSlice]
	deleteSlice   func(ctx context.Context, name string) error
	// deleteEndpoints removes the Endpoints of the service; it is no error when there are none.
	deleteEndpoints func(ctx context.Context) error
}

// reconcile brings service and slices to what the nodes say.
func (r reconciler) reconcile(ctx context.Context, _ string) error {
	nodes, err := r.nodes()
	if err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	have, err := r.slices()
	if err != nil {
		return fmt.Errorf("listing endpoint slices: %w", err)
	}
	want := wanted(nodes)
	if len(want) > 0 {
		if err := r.keepService(ctx); err != nil {
			return err
		}
	}
	var errs []error
	for _, s := range have {
		i := slices.IndexFunc(want, func(w *discoveryv1.EndpointSlice) bool {
			return w.Name == s.Name && s.Labels[discoveryv1.LabelManagedBy] == manager
		})
		if i < 0 {
			if s.Labels[discoveryv1.LabelManagedBy] == mirroring {
				// It would come back from what a selector has left behind.
				errs = append(errs, r.deleteEndpoints(ctx))
			}
			if err := r.deleteSlice(ctx, s.Name); err != nil && !apierrors.IsNotFound(err) {
				errs = append(errs, fmt.Errorf("removing endpoint slice %s: %w", s.Name, err))
			}
			continue
		}
		if _, err := r.updateSlice(ctx, s, mended(s, want[i])); err != nil && !run.Overtaken(err) {
			errs = append(errs, fmt.Errorf("repairing endpoint slice %s: %w", s.Name, err))
		}
		want = slices.Delete(want, i, i+1)
	}
	for _, s := range want {
		if err := r.createSlice(ctx, s); err != nil && !run.Moot(err) {
			errs = append(errs, fmt.Errorf("creating endpoint slice %s: %w", s.Name, err))
		}
	}
	return errors.Join(errs...)
}

// keepService makes or mends the service.
func (r reconciler) keepService(ctx context.Context) error {
	have, err := r.service()
	switch want := r.wantedService(); {
	case apierrors.IsNotFound(err):
		if err := r.createService(ctx, want); err != nil && !run.Moot(err) {
			return fmt.Errorf("creating the service %s: %w", service, err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("reading the service %s: %w", service, err)
	case have.Spec.Type != want.Spec.Type || have.Spec.ClusterIP != want.Spec.ClusterIP:
		// An address cannot be changed, and pods ask at this one.
		if err := r.deleteService(ctx, have); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("removing the service %s, which is not at %s: %w", service, want.Spec.ClusterIP, err)
		}
		return nil // it is made when it is seen to be gone
	default:
		if _, err := r.updateService(ctx, have, mendedService(have, want)); err != nil && !run.Overtaken(err) {
			return fmt.Errorf("repairing the service %s: %w", service, err)
		}
		return nil
	}
}

func (r reconciler) wantedService() *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: metav1.NamespaceSystem, Name: service,
			Labels: map[string]string{"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"},
		},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: r.address.String(), ClusterIPs: []string{r.address.String()},
			// Each node answers its own pods and nobody else's.
			InternalTrafficPolicy: ptr.To(corev1.ServiceInternalTrafficPolicyLocal),
		},
	}
	for _, p := range ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: p.name, Protocol: p.protocol, Port: port, TargetPort: intstr.FromInt32(port)})
	}
	return s
}

// mendedService keeps what others have added, but for a selector: somebody's pods would
// answer for the nodes.
func mendedService(have, want *corev1.Service) *corev1.Service {
	s := have.DeepCopy()
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	for key, value := range want.Labels {
		s.Labels[key] = value
	}
	s.Spec.Selector, s.Spec.InternalTrafficPolicy = nil, want.Spec.InternalTrafficPolicy
	for _, w := range want.Spec.Ports {
		if !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return equality.Semantic.DeepEqual(p, w) }) {
			s.Spec.Ports = want.Spec.Ports
		}
	}
	return s
}

// wanted are the slices that nodes ask for, one each: an agent may listen at another port
// than others. Whatever a node says is only for the pods on it, see wantedService.
func wanted(nodes []*corev1.Node) (all []*discoveryv1.EndpointSlice) {
	for _, n := range nodes {
		at, err := netip.ParseAddrPort(n.Annotations[api.ClusterDNS])
		if err != nil || !at.Addr().Is4() || !backends.OneMachine(at.Addr()) || at.Port() == 0 {
			continue
		}
		s := &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: metav1.NamespaceSystem, Name: sliceName(n.Name),
				Labels: map[string]string{discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: manager},
				// It goes with its node.
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: n.Name, UID: n.UID}},
			},
			AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints: []discoveryv1.Endpoint{{
				Addresses: []string{at.Addr().String()}, NodeName: ptr.To(n.Name),
				Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true), Serving: ptr.To(true), Terminating: ptr.To(false)},
			}},
		}
		for _, p := range ports {
			s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: ptr.To(p.name), Protocol: ptr.To(p.protocol), Port: ptr.To(int32(at.Port()))})
		}
		all = append(all, s)
	}
	return all
}

// sliceName is that of a node's slice: a name of an object has 253 characters at most.
func sliceName(node string) string {
	const most = 253
	name := service + "-" + node
	return strings.TrimRight(name[:min(len(name), most)], "-.")
}

// mended keeps what others have added.
func mended(have, want *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	s := have.DeepCopy()
	s.OwnerReferences, s.Endpoints, s.Ports = want.OwnerReferences, want.Endpoints, want.Ports
	return s
}
