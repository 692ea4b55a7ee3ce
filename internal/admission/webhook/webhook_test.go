package webhook

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/mutating"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"
)

func slice(ready *bool, port int32, name string, addresses ...string) discoveryv1.EndpointSlice {
	s := discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s-" + name, Labels: map[string]string{discoveryv1.LabelServiceName: "s"}},
		Ports:      []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
	for _, a := range addresses {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}, Conditions: discoveryv1.EndpointConditions{Ready: ready}})
	}
	return s
}

func TestServiceThatLeadsNowhereSaysWhy(t *testing.T) {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, Ports: []corev1.ServicePort{{Name: "web", Port: 443, Protocol: corev1.ProtocolTCP}}}}
	external := s.DeepCopy()
	external.Name, external.Spec.Type = "external", corev1.ServiceTypeExternalName
	down := slice(ptr.To(false), 8443, "web", "10.0.0.1")
	client := fake.NewClientset(s, external, &down)
	for _, tc := range []struct {
		name string
		port int32
		want string
	}{
		{"s", 443, `no endpoints available for service "s": see kubectl get pods,endpointslices -n ns, of which none is ready at its port 443`},
		{"s", 80, `no service port 80 found for service "s"`},
		{"external", 443, `unsupported service type "ExternalName"`},
		{"missing", 443, `services "missing" not found`},
	} {
		if _, err := (service{client, "ns", tc.name, tc.port}).endpoints(t.Context()); err == nil || err.Error() != tc.want {
			t.Errorf("%s:%d: %v, want %s", tc.name, tc.port, err, tc.want)
		}
	}
}

// TestAnotherEndpointIsTried has a service with an endpoint at which nobody listens.
func TestAnotherEndpointIsTried(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "s.ns.svc:443" {
			t.Errorf("asked as %s", r.Host)
		}
		_, _ = w.Write([]byte("{}"))
	}))
	defer up.Close()
	down := httptest.NewServer(nil)
	down.Close()
	address := func(s *httptest.Server) netip.AddrPort {
		return netip.MustParseAddrPort(strings.TrimPrefix(s.URL, "http://"))
	}
	c := caller{next: http.DefaultTransport, endpoints: func(context.Context) ([]netip.AddrPort, error) {
		return []netip.AddrPort{address(down), address(up)}, nil
	}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://s.ns.svc:443/path", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.RoundTrip(req)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%v, %v", response, err)
	}
}

func TestHintNamesTheConfiguration(t *testing.T) {
	all := []*admissionregistrationv1.ValidatingWebhookConfiguration{
		{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Webhooks: []admissionregistrationv1.ValidatingWebhook{{Name: "one.example.com"}, {Name: "both.example.com"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Webhooks: []admissionregistrationv1.ValidatingWebhook{{Name: "both.example.com"}}},
	}
	h := hint{"Kind", "kinds", func(webhook string) string { return validatingOf(all, nil, webhook) }}
	internal := func(text string) error { return apierrors.NewInternalError(errors.New(text)) }
	const suffix = ` (Kind "a" has this webhook with failurePolicy Fail; if it cannot be brought back: kubectl delete kinds a)`
	for _, tc := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{errors.New("failed calling webhook"), "failed calling webhook"},
		{internal(`failed calling webhook "one.example.com": no`), `Internal error occurred: failed calling webhook "one.example.com": no` + suffix},
		{internal(`failed calling webhook "both.example.com": no`), `Internal error occurred: failed calling webhook "both.example.com": no`},
		{internal(`failed calling webhook "gone.example.com": no`), `Internal error occurred: failed calling webhook "gone.example.com": no`},
		{internal(`failed calling webhook without quotes`), `Internal error occurred: failed calling webhook without quotes`},
		{internal(`other`), `Internal error occurred: other`},
	} {
		got := h.to(tc.err)
		if (got == nil) != (tc.err == nil) || got != nil && got.Error() != tc.want {
			t.Errorf("got  %v\nwant %s", got, tc.want)
		}
		if tc.err != nil && apierrors.IsInternalError(got) != apierrors.IsInternalError(tc.err) {
			t.Errorf("%v is another kind of error", got)
		}
	}
}

// TestNothingIsMadeWithoutConfigurations keeps servers without webhooks from paying for
// them.
func TestNothingIsMadeWithoutConfigurations(t *testing.T) {
	client := fake.NewClientset()
	shared := informers.NewSharedInformerFactory(client, 0)
	p, err := New(Config{Client: client, Informers: shared, CheckPatch: func(schema.GroupResource, []byte) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	shared.Start(ctx.Done())
	t.Cleanup(func() { cancel(); shared.Shutdown() })
	if err := p.Await(ctx); err != nil {
		t.Fatal(err)
	}
	// Nothing of the request is looked at.
	if err := errors.Join(p.Mutating.Admit(ctx, nil, nil), p.Validating.Validate(ctx, nil, nil)); err != nil {
		t.Error(err)
	}
	if p.Mutating.made.Load() != nil || p.Validating.made.Load() != nil {
		t.Error("a plugin is made for nobody")
	}
	p.Mutating.made.Store(&result[*mutating.Plugin]{err: errors.New("no memory")})
	if err := p.Mutating.Admit(ctx, nil, nil); !apierrors.IsInternalError(err) {
		t.Errorf("without its plugin it lets through: %v", err)
	}
	for _, op := range []admission.Operation{admission.Create, admission.Update, admission.Delete, admission.Connect} {
		if !p.Mutating.Handles(op) || !p.Validating.Handles(op) {
			t.Errorf("nobody is asked about %s", op)
		}
	}
}
