package clusterdns

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/api"
)

func node(name, at string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "u", Annotations: map[string]string{api.ClusterDNS: at}}}
}

// world notes what is written.
type world struct {
	nodes   []*corev1.Node
	service *corev1.Service
	slices  []*discoveryv1.EndpointSlice
	did     []string
}

func (w *world) reconcile(t *testing.T) []string {
	t.Helper()
	w.did = nil
	r := reconciler{
		address: netip.MustParseAddr("10.96.0.10"),
		nodes:   func() ([]*corev1.Node, error) { return w.nodes, nil },
		service: func() (*corev1.Service, error) {
			if w.service == nil {
				return nil, apierrors.NewNotFound(corev1.Resource("services"), service)
			}
			return w.service, nil
		},
		slices: func() ([]*discoveryv1.EndpointSlice, error) { return slices.Clone(w.slices), nil },
		createService: func(_ context.Context, s *corev1.Service) error {
			w.did, w.service = append(w.did, "create service"), s
			return nil
		},
		updateService: func(_ context.Context, before, after *corev1.Service) (*corev1.Service, error) {
			if !equality.Semantic.DeepEqual(before, after) {
				w.did, w.service = append(w.did, "update service"), after
			}
			return after, nil
		},
		deleteService: func(_ context.Context, s *corev1.Service) error {
			w.did, w.service = append(w.did, "delete service"), nil
			return nil
		},
		deleteEndpoints: func(context.Context) error {
			w.did = append(w.did, "delete endpoints")
			return nil
		},
		createSlice: func(_ context.Context, s *discoveryv1.EndpointSlice) error {
			w.did, w.slices = append(w.did, "create "+s.Name), append(w.slices, s)
			return nil
		},
		updateSlice: func(_ context.Context, before, after *discoveryv1.EndpointSlice) (*discoveryv1.EndpointSlice, error) {
			if !equality.Semantic.DeepEqual(before, after) {
				w.did = append(w.did, "update "+after.Name)
				w.slices[slices.Index(w.slices, before)] = after
			}
			return after, nil
		},
		deleteSlice: func(_ context.Context, name string) error {
			w.did = append(w.did, "delete "+name)
			w.slices = slices.DeleteFunc(w.slices, func(s *discoveryv1.EndpointSlice) bool { return s.Name == name })
			return nil
		},
	}
	if err := r.reconcile(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	return w.did
}

func TestEachNodeHasASlice(t *testing.T) {
	w := &world{nodes: []*corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "without"}}}}
	does := func(when string, want ...string) {
		t.Helper()
		if got := w.reconcile(t); !slices.Equal(got, want) {
			t.Errorf("%s: did %q, want %q", when, got, want)
		}
		if again := w.reconcile(t); len(again) > 0 {
			t.Errorf("%s: did %q once more", when, again)
		}
	}
	does("no node has DNS")
	w.nodes = append(w.nodes, node("a", "10.244.0.1:53"), node("b", "10.244.1.1:5353"))
	does("two have", "create service", "create kube-dns-a", "create kube-dns-b")
	if s := w.slices[1]; s.Endpoints[0].Addresses[0] != "10.244.1.1" || *s.Endpoints[0].NodeName != "b" || *s.Ports[0].Port != 5353 || *s.Ports[1].Protocol != corev1.ProtocolTCP || s.OwnerReferences[0].Kind != "Node" {
		t.Errorf("slice %+v", s)
	}
	if s := w.service.Spec; s.ClusterIP != "10.96.0.10" || *s.InternalTrafficPolicy != corev1.ServiceInternalTrafficPolicyLocal || s.Ports[0].Protocol != corev1.ProtocolUDP {
		t.Errorf("service %+v", s)
	}
	w.nodes[1] = node("a", "10.244.0.1:54")
	does("one has moved", "update kube-dns-a")
	w.nodes = w.nodes[:2]
	does("one has gone", "delete kube-dns-b")
	for _, bad := range []string{"", "x", "10.244.0.1", "127.0.0.1:53", "169.254.1.1:53", "224.0.0.1:53", "0.0.0.0:53", "10.244.0.1:0", "[fd00::1]:53"} {
		w.nodes[1] = node("a", bad)
		if got := wanted(w.nodes); len(got) > 0 {
			t.Errorf("a node says %q: %v", bad, got)
		}
	}
	does("the last one has no DNS any more", "delete kube-dns-a")
}

func TestWhatOthersChangeIsMended(t *testing.T) {
	w := &world{nodes: []*corev1.Node{node("a", "10.244.0.1:53")}}
	w.reconcile(t)
	s := w.service.DeepCopy()
	s.Labels, s.Spec.Selector, s.Spec.InternalTrafficPolicy = map[string]string{"theirs": "x"}, map[string]string{"a": "b"}, nil
	w.service = s
	w.slices = append(w.slices, &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "kube-dns-x2b4c", Labels: map[string]string{discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"}}})
	if got, want := w.reconcile(t), []string{"update service", "delete kube-dns-x2b4c"}; !slices.Equal(got, want) {
		t.Errorf("did %q, want %q", got, want)
	}
	if s := w.service; s.Spec.Selector != nil || s.Labels["theirs"] != "x" || s.Labels["k8s-app"] != "kube-dns" {
		t.Errorf("service %+v", s)
	}
}

// TestServiceIsWherePodsAsk has a service of an older range, and one that leads to a name.
func TestServiceIsWherePodsAsk(t *testing.T) {
	for name, change := range map[string]func(*corev1.ServiceSpec){
		"another address": func(s *corev1.ServiceSpec) { s.ClusterIP, s.ClusterIPs = "10.97.0.10", []string{"10.97.0.10"} },
		"another type": func(s *corev1.ServiceSpec) {
			s.Type, s.ClusterIP, s.ExternalName = corev1.ServiceTypeExternalName, "", "x.example"
		},
	} {
		w := &world{nodes: []*corev1.Node{node("a", "10.244.0.1:53")}}
		w.reconcile(t)
		change(&w.service.Spec)
		if got, want := w.reconcile(t), []string{"delete service"}; !slices.Equal(got, want) {
			t.Errorf("%s: did %q, want %q", name, got, want)
		}
		if got, want := w.reconcile(t), []string{"create service"}; !slices.Equal(got, want) {
			t.Errorf("%s: did %q then, want %q", name, got, want)
		}
	}
}

// TestMirroredSlicesDoNotComeBack has the Endpoints that a selector has left behind.
func TestMirroredSlicesDoNotComeBack(t *testing.T) {
	w := &world{nodes: []*corev1.Node{node("a", "10.244.0.1:53")}}
	w.reconcile(t)
	w.slices = append(w.slices, &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "kube-dns-mirrored", Labels: map[string]string{discoveryv1.LabelManagedBy: mirroring}}})
	if got, want := w.reconcile(t), []string{"delete endpoints", "delete kube-dns-mirrored"}; !slices.Equal(got, want) {
		t.Errorf("did %q, want %q", got, want)
	}
}

func TestNamesOfSlicesFit(t *testing.T) {
	for _, n := range []string{"a", strings.Repeat("a", 253), strings.Repeat("a", 243) + "." + strings.Repeat("b", 9)} {
		if got := sliceName(n); len(got) > 253 || strings.HasSuffix(got, ".") {
			t.Errorf("%s: %s", n, got)
		}
	}
}
