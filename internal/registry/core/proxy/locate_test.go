package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/network/backends"
)

// stored are objects by name.
type stored map[string]runtime.Object

// Get implements rest.Getter.
func (s stored) Get(_ context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	if o, ok := s[name]; ok {
		return o, nil
	}
	return nil, apierrors.NewNotFound(corev1.Resource("things"), name)
}

// listed are endpoint slices.
type listed struct {
	rest.Lister
	all []discoveryv1.EndpointSlice
}

// List implements rest.Lister.
func (l listed) List(context.Context, *metainternal.ListOptions) (runtime.Object, error) {
	return &discoveryv1.EndpointSliceList{Items: l.all}, nil
}

// guarded is a machine at 10.0.0.1.
func guarded() Config {
	return Config{Wall: clock.Real(), Guard: backends.Guard{
		Services: func(context.Context) ([]netip.Prefix, error) {
			return []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16")}, nil
		},
		Own: func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil },
	}}
}

func podAt(ip string, ports ...int32) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "first"}, {Name: "second"}}}}
	p.Status.PodIPs = []corev1.PodIP{{IP: ip}}
	for _, port := range ports {
		p.Spec.Containers[1].Ports = append(p.Spec.Containers[1].Ports, corev1.ContainerPort{ContainerPort: port})
	}
	return p
}

func onHost(p *corev1.Pod) *corev1.Pod {
	p.Spec.HostNetwork = true
	return p
}

func TestWherePodsAre(t *testing.T) {
	r, err := newReach(guarded())
	if err != nil {
		t.Fatal(err)
	}
	pods := stored{
		"p": podAt("10.244.0.5", 8080, 9090), "bare": podAt("10.244.0.6"), "six": podAt("fd00::5"), "six-port": podAt("fd00::5", 80),
		"loop": podAt("127.0.0.1"), "own": podAt("10.0.0.1", 80), "none": &corev1.Pod{}, "text": podAt("localhost"), "api": podAt("10.96.0.1", 443),
		"host": onHost(podAt("10.0.0.1", 80)), "other-host": onHost(podAt("10.0.0.2")),
	}
	for _, c := range []struct {
		id, want string
		host     bool
	}{
		{"p", "//10.244.0.5:8080", false}, {"p:1", "//10.244.0.5:1", false}, {"http:p:", "http://10.244.0.5:8080", false}, {":p:2", "//10.244.0.5:2", false},
		{"https:p:443", "https://10.244.0.5:443", false}, {"bare", "//10.244.0.6", false}, {"six", "//[fd00::5]", false}, {"six-port", "//[fd00::5]:80", false},
		{"p:name", "//10.244.0.5:name", false},
		{"host", "//10.0.0.1:80", true}, {"host:80", "//10.0.0.1:80", true}, {"other-host:22", "//10.0.0.2:22", false},
		{"host:22", "address not allowed", false}, {"loop", "address not allowed", false}, {"own", "address not allowed", false}, {"own:80", "address not allowed", false},
		{"none", "address not allowed", false}, {"text", "address not allowed", false}, {"api", "address not allowed", false}, {"https:api:", "address not allowed", false},
		{"a:b:c", `invalid pod request "a:b:c"`, false}, {"ftp:p:1", `invalid pod request "ftp:p:1"`, false}, {":", `invalid pod request ":"`, false},
		{"other", `things "other" not found`, false},
	} {
		to, err := r.locatePod(t.Context(), pods, c.id)
		got := to.url.String()
		if err != nil {
			got = err.Error()
		}
		if got != c.want || err == nil && (to.ways == r.host) != c.host {
			t.Errorf("%s: %s, want %s", c.id, got, c.want)
		}
	}
}

func TestWhereServicesAre(t *testing.T) {
	r, err := newReach(guarded())
	if err != nil {
		t.Fatal(err)
	}
	slice := func(name string, port int32, ready bool, addr, pod string) discoveryv1.EndpointSlice {
		return discoveryv1.EndpointSlice{
			Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{addr}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
				TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "ns", Name: pod}}},
		}
	}
	foreign, nobodys := slice("foreign", 1, true, "10.244.0.5", "p"), slice("nobodys", 1, true, "10.244.0.5", "p")
	foreign.Endpoints[0].TargetRef.Namespace = "other"
	nobodys.Endpoints[0].TargetRef = nil
	slices := listed{all: []discoveryv1.EndpointSlice{
		slice("", 8080, true, "10.244.0.5", "p"), slice("web", 8081, true, "10.244.0.5", "p"), slice("down", 1, false, "10.244.0.5", "p"),
		slice("lie", 1, true, "10.244.0.99", "p"), slice("gone", 1, true, "10.244.0.5", "no"), slice("own", 22, true, "10.0.0.1", "host"),
		slice("host", 80, true, "10.0.0.1", "host"), foreign, nobodys,
	}}
	pods := stored{"p": podAt("10.244.0.5"), "host": onHost(podAt("10.0.0.1", 80))}
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "s"}}
	for name, port := range map[string]int32{"": 80, "web": 81, "down": 82} {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: name, Port: port, Protocol: corev1.ProtocolTCP})
	}
	const none = `no endpoints available for service "s"`
	for id, want := range map[string]string{
		"s": "//10.244.0.5:8080", "s:80": "//10.244.0.5:8080", "https:s:": "https://10.244.0.5:8080", "http:s:web": "http://10.244.0.5:8081", "s:81": "//10.244.0.5:8081",
		"s:host": "//10.0.0.1:80", "s:82": none, "s:down": none, "s:lie": none, "s:gone": none, "s:own": none, "s:foreign": none, "s:nobodys": none, "s:no": none,
		"s:83": `no service port 83 found for service "s"`, "a:b:c": `invalid service request "a:b:c"`, "other": `things "other" not found`,
	} {
		to, err := r.locateService(request.WithNamespace(t.Context(), "ns"), stored{"s": s}, pods, slices, id)
		got := to.url.String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	if _, err := Services(Config{}, nil, nil, nil); err == nil {
		t.Error("a proxy without a clock is made")
	}
}

// kubeletAs is a kubelet that shows a certificate, and what answers for it.
func kubeletAs(t *testing.T, commonName string) (n nodes, to target, got func() string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: commonName}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	asked := ""
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked = r.URL.Path }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	n.reach, err = newReach(guarded())
	if err != nil {
		t.Fatal(err)
	}
	n.kubelets = Kubelets{
		Locate: func(_ context.Context, node string) (string, string, error) { return "10.0.0.1", "10250", nil },
		TLS:    &tls.Config{RootCAs: roots}, UserName: func(node string) string { return "system:node:" + node },
	}
	if to, err = n.locate(t.Context(), "n"); err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	to.ways = newWays(dial, to.ways.tls)
	return n, to, func() string { return asked }
}

// TestKubeletIsKnownByTheCertificateOfItsNode: an authority also signs those of servers.
func TestKubeletIsKnownByTheCertificateOfItsNode(t *testing.T) {
	for commonName, ok := range map[string]bool{"system:node:n": true, "system:node:other": false, "apiserver": false} {
		_, to, asked := kubeletAs(t, commonName)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to.url.String()+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := to.ways.plain.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		_, upgraded := to.ways.dial(t.Context(), &to.url)
		for _, err := range []error{err, upgraded} {
			if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "the certificate is that of") {
				t.Errorf("%s: %v", commonName, err)
			}
		}
		if (asked() != "") != ok {
			t.Errorf("%s is asked for %q", commonName, asked())
		}
	}
}

func TestWhereNodesAre(t *testing.T) {
	n, _, _ := kubeletAs(t, "x")
	for id, want := range map[string]string{
		"n": "https://10.0.0.1:10250", "n:10250": "https://10.0.0.1:10250", "http:n:10250": "https://10.0.0.1:10250", "n:22": "address not allowed",
		"a:b:c": `invalid node request "a:b:c"`,
	} {
		to, err := n.locate(t.Context(), id)
		got := to.url.String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	n.kubelets.Locate = func(context.Context, string) (string, string, error) { return "10.0.0.2", "10250", nil }
	if to, err := n.locate(t.Context(), "http:n:9100"); err != nil || to.url.String() != "http://10.0.0.2:9100" || to.ways != n.pods {
		t.Errorf("%s, %v", to.url.String(), err)
	}
}

// TestReadingNodesProxyOpensNoStreams: the verb of a WebSocket is get.
func TestReadingNodesProxyOpensNoStreams(t *testing.T) {
	n, _, _ := kubeletAs(t, "x")
	var asked []string
	decision := authorizer.DecisionNoOpinion
	n.kubelets.Authorizer = authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		asked = append(asked, a.GetVerb()+" "+a.GetResource()+"/"+a.GetSubresource())
		return decision, "", nil
	})
	to, err := n.locate(t.Context(), "n")
	if err != nil {
		t.Fatal(err)
	}
	ctx := func(verb string) context.Context {
		return request.WithRequestInfo(t.Context(), &request.RequestInfo{IsResourceRequest: true, Verb: verb, Resource: "nodes", Subresource: "proxy", Name: "n"})
	}
	if err := to.mayUpgrade(ctx("get")); !apierrors.IsForbidden(err) {
		t.Errorf("get: %v", err)
	}
	if err := to.mayUpgrade(ctx("create")); err != nil {
		t.Errorf("create: %v", err)
	}
	if decision = authorizer.DecisionAllow; to.mayUpgrade(ctx("get")) != nil {
		t.Error("who may create may not")
	}
	if fmt.Sprint(asked) != "[create nodes/proxy create nodes/proxy]" {
		t.Errorf("asked is %q", asked)
	}
	if _, err := Nodes(guarded(), Kubelets{}); err == nil {
		t.Error("a proxy without kubelets is made")
	}
}

func TestPathsAreReadOfTheQuery(t *testing.T) {
	s := runtime.NewScheme()
	if err := RegisterParameters(s); err != nil {
		t.Fatal(err)
	}
	var o corev1.PodProxyOptions
	if err := s.Convert(&url.Values{"path": {"a/b"}}, &o, nil); err != nil || o.Path != "a/b" {
		t.Errorf("%q, %v", o.Path, err)
	}
	c, err := Pods(guarded(), stored{"p": podAt("10.244.0.5")})
	if err != nil {
		t.Fatal(err)
	}
	connecter, ok := c.(rest.Connecter)
	if !ok {
		t.Fatalf("%T", c)
	}
	if o, below, key := connecter.NewConnectOptions(); !below || key != "path" || ptr.Deref(o.(*corev1.PodProxyOptions), corev1.PodProxyOptions{Path: "x"}).Path != "" {
		t.Errorf("%v, %v, %s", o, below, key)
	}
	if _, err := connecter.Connect(t.Context(), "p", &corev1.NodeProxyOptions{}, nil); err == nil {
		t.Error("foreign options are taken")
	}
}
