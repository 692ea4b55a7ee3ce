package service

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/core/endpoints"
	"laterna.dev/laterna/internal/registry/networking/ipaddress"
	"laterna.dev/laterna/internal/registry/networking/servicecidr"
	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/registry/resource/resourcetest"
)

// served is the storage of services on a real store.
type served struct {
	*testing.T
	*Storage
	ctx context.Context
	env resource.Env
}

func serve(t *testing.T, cidr string) served {
	t.Helper()
	env := resourcetest.Env(t, Definition().Register)
	return served{t, open(t, env, cidr), resourcetest.Context(t, "ns"), env}
}

// open is a server's storage of services. Its clock is an hour ahead, so that what was just
// taken looks old.
func open(t *testing.T, env resource.Env, cidr string) *Storage {
	t.Helper()
	s, err := NewStorage(env, Config{
		ClusterIPs: netip.MustParsePrefix(cidr),
		Addresses:  store(t, env, ipaddress.Definition()), Ranges: store(t, env, servicecidr.Definition()), Endpoints: store(t, env, endpoints.Definition()),
		Wall: clock.WallOf(clocktesting.NewFakeClock(time.Now().Add(time.Hour))), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Destroy)
	return s
}

func store[T resource.Object](t *testing.T, env resource.Env, d resource.Definition[T]) *resource.Store[T] {
	t.Helper()
	s, err := resource.New(d, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Destroy)
	return s
}

func newService(name string, change ...func(*corev1.ServiceSpec)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}, Selector: map[string]string{"a": "b"}},
	}
	for _, f := range change {
		f(&s.Spec)
	}
	setDefaults(s)
	return s
}

func (s served) create(svc *corev1.Service, dry ...string) (*corev1.Service, error) {
	obj, err := s.Storage.Create(s.ctx, svc, resourcetest.Allow, &metav1.CreateOptions{DryRun: dry})
	got, _ := obj.(*corev1.Service)
	return got, err
}

func (s served) mustCreate(svc *corev1.Service) *corev1.Service {
	s.Helper()
	got, err := s.create(svc)
	if err != nil {
		s.Fatal(err)
	}
	return got
}

func (s served) put(svc *corev1.Service) (*corev1.Service, error) {
	setDefaults(svc)
	obj, _, err := s.Update(s.ctx, svc.Name, rest.DefaultUpdatedObjectInfo(svc), resourcetest.Allow, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	got, _ := obj.(*corev1.Service)
	return got, err
}

// ports are the node ports in the books, as numbers of the pool.
func (s served) takenPorts() []int {
	s.Helper()
	var numbers []int
	err := s.ports.try(s.ctx, true, func(bits bitmap) error {
		for n := range s.ports.size {
			if bits.has(n) {
				numbers = append(numbers, n)
			}
		}
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	return numbers
}

// takenIPs are the addresses in the books, with whose they are.
func (s served) takenIPs() []string {
	s.Helper()
	all, err := s.book.all(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	var taken []string
	for _, o := range all {
		taken = append(taken, o.Name+" "+o.Spec.ParentRef.Namespace+"/"+o.Spec.ParentRef.Name)
	}
	return taken
}

func address(ip string) func(*corev1.ServiceSpec) {
	return func(spec *corev1.ServiceSpec) { spec.ClusterIP = ip }
}

func kind(k corev1.ServiceType) func(*corev1.ServiceSpec) {
	return func(spec *corev1.ServiceSpec) { spec.Type = k }
}

func TestAddresses(t *testing.T) {
	s := serve(t, "10.0.0.0/28")
	kube := s.mustCreate(newService("kubernetes", address("10.0.0.1")))
	if !slices.Equal(kube.Spec.ClusterIPs, []string{"10.0.0.1"}) || !slices.Equal(kube.Spec.IPFamilies, []corev1.IPFamily{"IPv4"}) || *kube.Spec.IPFamilyPolicy != "SingleStack" {
		t.Errorf("created %+v", kube.Spec)
	}
	if _, err := s.create(newService("twin", address("10.0.0.1"))); !apierrors.IsInvalid(err) ||
		!strings.Contains(err.Error(), "spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: failed to allocate IP 10.0.0.1: provided IP is already allocated") {
		t.Errorf("a taken address: %v", err)
	}
	if _, err := s.create(newService("names", address("10.0.0.10"))); err == nil || !strings.Contains(err.Error(), "provided IP is already allocated") {
		t.Errorf("the address of cluster DNS: %v", err)
	}
	if _, err := s.create(newService("far", address("10.1.0.1"))); err == nil ||
		!strings.Contains(err.Error(), "the provided IP (10.1.0.1) is not in the valid range. The range of valid IPs is 10.0.0.0/28") {
		t.Errorf("a foreign address: %v", err)
	}
	for _, ip := range []string{"10.0.0.0", "10.0.0.15"} {
		if _, err := s.create(newService("edge", address(ip))); err == nil || !strings.Contains(err.Error(), "is not in the valid range") {
			t.Errorf("%s: %v", ip, err)
		}
	}
	if _, err := s.create(newService("odd", address("10.0.0"))); err == nil || !strings.Contains(err.Error(), "spec.clusterIPs[0]: Invalid value") {
		t.Errorf("no address: %v", err)
	}
	plural := newService("plural", func(spec *corev1.ServiceSpec) { spec.ClusterIPs = []string{"10.0.0.9"} })
	if _, err := s.create(plural); err == nil || !strings.Contains(err.Error(), "must be empty when `clusterIP` is not specified") {
		t.Errorf("clusterIPs alone: %v", err)
	}
	if dry, err := s.create(newService("dry"), metav1.DryRunAll); err != nil || dry.Spec.ClusterIP == "" {
		t.Errorf("dry run: %+v, %v", dry, err)
	}
	seen := map[string]bool{}
	for _, name := range strings.Fields("a b c d e f g h i j k l") {
		seen[s.mustCreate(newService(name)).Spec.ClusterIP] = true
	}
	if len(seen) != 12 || seen["10.0.0.1"] || seen["10.0.0.10"] {
		t.Errorf("12 services got %v", seen)
	}
	if _, err := s.create(newService("one-too-many")); err == nil || !strings.Contains(err.Error(), "failed to allocate a serviceIP for Service \"one-too-many\": range is full") {
		t.Errorf("a full range: %v", err)
	}
	if _, _, err := s.Delete(s.ctx, "c", resourcetest.Allow, nil); err != nil {
		t.Fatal(err)
	}
	s.mustCreate(newService("n"))
	if _, err := s.DeleteCollection(s.ctx, resourcetest.Allow, nil, &metainternal.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if left := s.takenIPs(); len(left) != 0 {
		t.Errorf("after all services are gone %v are taken", left)
	}
}

func TestRefusedServicesTakeNothing(t *testing.T) {
	s := serve(t, "10.0.0.0/24")
	bad := newService("bad", kind(corev1.ServiceTypeNodePort), func(spec *corev1.ServiceSpec) { spec.Ports[0].Port = 0 })
	if _, err := s.create(bad); !apierrors.IsInvalid(err) {
		t.Errorf("port 0: %v", err)
	}
	clash := newService("clash", kind(corev1.ServiceTypeNodePort), func(spec *corev1.ServiceSpec) { spec.Ports[0].NodePort = 80 })
	if _, err := s.create(clash); err == nil || !strings.Contains(err.Error(), "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767") {
		t.Errorf("node port 80: %v", err)
	}
	if ips, ports := s.takenIPs(), s.takenPorts(); len(ips)+len(ports) != 0 {
		t.Errorf("refused services hold %v and %v", ips, ports)
	}
}

func TestBooksSurviveARestart(t *testing.T) {
	s := serve(t, "10.0.0.0/29")
	first := s.mustCreate(newService("a", address("10.0.0.3")))
	again := served{t, open(t, s.env, "10.0.0.0/29"), s.ctx, s.env}
	if _, err := again.create(newService("b", address(first.Spec.ClusterIP))); !apierrors.IsInvalid(err) {
		t.Errorf("after a restart the address is free: %v", err)
	}
	moved := served{t, open(t, s.env, "10.0.0.0/28"), s.ctx, s.env}
	if _, err := moved.create(newService("b", address(first.Spec.ClusterIP))); !apierrors.IsInvalid(err) {
		t.Errorf("in a wider range the address is free: %v", err)
	}
	if err := moved.Repair(s.ctx); err != nil {
		t.Error(err)
	}
}

func TestNodePorts(t *testing.T) {
	s := serve(t, "10.0.0.0/24")
	dns := s.mustCreate(newService("dns", kind(corev1.ServiceTypeNodePort), func(spec *corev1.ServiceSpec) {
		spec.Ports = []corev1.ServicePort{{Name: "udp", Port: 53, Protocol: "UDP"}, {Name: "tcp", Port: 53}, {Name: "web", Port: 80, NodePort: 30080}}
	}))
	ports := dns.Spec.Ports
	if ports[0].NodePort < 30000 || ports[0].NodePort > 32767 || ports[0].NodePort != ports[1].NodePort || ports[2].NodePort != 30080 {
		t.Errorf("ports %+v", ports)
	}
	if _, err := s.create(newService("twin", kind(corev1.ServiceTypeNodePort), func(spec *corev1.ServiceSpec) { spec.Ports[0].NodePort = 30080 })); err == nil ||
		!strings.Contains(err.Error(), "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated") {
		t.Errorf("a taken port: %v", err)
	}
	// Applying the manifest again changes nothing.
	again := newService("dns", kind(corev1.ServiceTypeNodePort), func(spec *corev1.ServiceSpec) {
		spec.Ports = []corev1.ServicePort{{Name: "udp", Port: 53, Protocol: "UDP"}, {Name: "tcp", Port: 53}, {Name: "web", Port: 80}}
	})
	got, err := s.put(again)
	if err != nil || got.Spec.ClusterIP != dns.Spec.ClusterIP || got.Spec.Ports[2].NodePort != 30080 {
		t.Fatalf("applied again: %+v, %v", got, err)
	}
	// The type alone takes the ports away.
	got.Spec.Type = corev1.ServiceTypeClusterIP
	if got, err = s.put(got); err != nil || got.Spec.Ports[0].NodePort != 0 || got.Spec.ExternalTrafficPolicy != "" {
		t.Fatalf("as ClusterIP: %+v, %v", got, err)
	}
	if left := s.takenPorts(); len(left) != 0 {
		t.Errorf("ports %v are still taken", left)
	}
}

func TestTypesChange(t *testing.T) {
	s := serve(t, "10.0.0.0/24")
	got := s.mustCreate(newService("s"))
	got.Spec.Type, got.Spec.ExternalName = corev1.ServiceTypeExternalName, "example.com"
	got, err := s.put(got)
	if err != nil || got.Spec.ClusterIP != "" || got.Spec.ClusterIPs != nil || got.Spec.IPFamilyPolicy != nil || got.Spec.InternalTrafficPolicy != nil {
		t.Fatalf("as ExternalName: %+v, %v", got, err)
	}
	if left := s.takenIPs(); len(left) != 0 {
		t.Errorf("addresses %v are still taken", left)
	}
	got.Spec.Type, got.Spec.ExternalName = corev1.ServiceTypeLoadBalancer, ""
	got.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	if got, err = s.put(got); err != nil || got.Spec.ClusterIP == "" || got.Spec.HealthCheckNodePort == 0 || got.Spec.Ports[0].NodePort == 0 {
		t.Fatalf("as LoadBalancer: %+v, %v", got, err)
	}
	if ports := s.takenPorts(); len(ports) != 2 {
		t.Errorf("ports %v are taken, want 2", ports)
	}
	held := got.Spec.ClusterIP
	got.Spec.ClusterIP = ""
	if got, err = s.put(got); err != nil || got.Spec.ClusterIP != held {
		t.Fatalf("an empty address, which leaves the one that is held: %+v, %v", got, err)
	}
	got.Spec.ClusterIP = "10.0.0.77"
	if _, err := s.put(got.DeepCopy()); err == nil || !strings.Contains(err.Error(), "spec.clusterIPs[0]: Invalid value: [\"10.0.0.77\"]: may not change once set") {
		t.Errorf("another address: %v", err)
	}
	if ips := s.takenIPs(); len(ips) != 1 {
		t.Errorf("addresses %v are taken, want 1", ips)
	}
}

func TestStatusTakesNothing(t *testing.T) {
	s := serve(t, "10.0.0.0/24")
	got := s.mustCreate(newService("s"))
	got.Spec.Type = corev1.ServiceTypeNodePort
	got.Status.Conditions = []metav1.Condition{{Type: "Odd", Status: "True", Reason: "Why"}}
	obj, _, err := s.ByPath()["services/status"].(rest.Updater).Update(s.ctx, "s", rest.DefaultUpdatedObjectInfo(got), resourcetest.Allow, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if svc, ok := obj.(*corev1.Service); err != nil || !ok || svc.Spec.Type != corev1.ServiceTypeClusterIP || len(svc.Status.Conditions) != 1 {
		t.Errorf("status update: %+v, %v", obj, err)
	}
	got.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "10.0.0.1", IPMode: ptr.To(corev1.LoadBalancerIPModeVIP)}}
	if _, _, err := s.ByPath()["services/status"].(rest.Updater).Update(s.ctx, "s", rest.DefaultUpdatedObjectInfo(got), resourcetest.Allow, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{}); err == nil {
		t.Error("a ClusterIP service has a load balancer")
	}
}
