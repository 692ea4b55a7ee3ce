package service

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"

	"laterna.dev/laterna/internal/registry/resource/resourcetest"
)

// edit changes a service in the store, as nobody may through the API.
func (s served) edit(name string, change func(*corev1.ServiceSpec)) {
	s.Helper()
	key, err := s.KeyFunc(s.ctx, name)
	if err != nil {
		s.Fatal(err)
	}
	err = s.Store.Storage.Storage.GuaranteedUpdate(s.ctx, key, &corev1.Service{}, false, nil,
		storage.SimpleUpdate(func(o runtime.Object) (runtime.Object, error) {
			change(&o.(*corev1.Service).Spec)
			return o, nil
		}), nil)
	if err != nil {
		s.Fatal(err)
	}
}

// finds repairs, and fails unless that tells what is wanted.
func (s served) finds(when string, want ...string) {
	s.Helper()
	var told []string
	tell := func(_ context.Context, f Finding) {
		told = append(told, f.About.Kind+" "+f.About.Name+" "+f.By+" "+f.Action+" "+f.Reason+" "+f.Message)
		if f.About.UID == "" {
			s.Errorf("%s is told of nobody", f.Message)
		}
	}
	s.book.tell, s.tell = tell, tell
	s.repair()
	slices.Sort(told)
	slices.Sort(want)
	if !slices.Equal(told, want) {
		s.Errorf("%s it is told\n%q, want\n%q", when, told, want)
	}
}

// TestRepairsTellInUpstreamsWords has books and services that somebody has edited.
func TestRepairsTellInUpstreamsWords(t *testing.T) {
	const ips, ports = " ipallocator-repair-controller ClusterIPAllocation ", " portallocator-repair-controller PortAllocation "
	s := serve(t, "10.0.0.0/24")
	node := func(port int32) func(*corev1.ServiceSpec) {
		return func(spec *corev1.ServiceSpec) { spec.Ports[0].NodePort = port }
	}
	for name, ip := range map[string]string{"lost": "10.0.0.2", "stolen": "10.0.0.3", "first": "10.0.0.4", "odd": "10.0.0.5", "far": "10.0.0.6", "fine": "10.0.0.7"} {
		s.mustCreate(newService(name, address(ip)))
	}
	for name, port := range map[string]int32{"a": 30001, "b": 30002, "c": 30003} {
		s.mustCreate(newService(name, kind(corev1.ServiceTypeNodePort), node(port)))
	}
	if _, err := s.book.ranges.Create(clusterWide(s.ctx), &networkingv1.ServiceCIDR{
		ObjectMeta: metav1.ObjectMeta{Name: "more"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.9.0.0/24"}},
	}, resourcetest.Allow, &metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.mustCreate(newService("more", address("10.9.0.1")))
	s.finds("when all is well")

	s.drop("10.0.0.2")
	s.drop("10.0.0.3")
	foreign := addressOf(newService("gone"), netip.MustParseAddr("10.0.0.3"))
	leaked := addressOf(newService("gone"), netip.MustParseAddr("10.0.0.77"))
	wrong := addressOf(newService("fine"), netip.MustParseAddr("10.0.0.78"))
	modified := addressOf(newService("gone"), netip.MustParseAddr("10.0.0.79"))
	modified.Spec.ParentRef.Resource = "gateways"
	for _, o := range []*networkingv1.IPAddress{foreign, leaked, wrong, modified} {
		if _, err := s.book.objects.Create(clusterWide(s.ctx), o, resourcetest.Allow, &metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s.mustCreate(newService("second", address("10.0.0.8")))
	s.edit("second", func(spec *corev1.ServiceSpec) { spec.ClusterIP, spec.ClusterIPs = "10.0.0.4", []string{"10.0.0.4"} })
	s.edit("odd", func(spec *corev1.ServiceSpec) { spec.ClusterIP, spec.ClusterIPs = "odd", []string{"odd"} })
	s.edit("far", func(spec *corev1.ServiceSpec) { spec.ClusterIP, spec.ClusterIPs = "10.1.0.1", []string{"10.1.0.1"} })
	s.edit("b", node(30001))
	s.edit("c", node(80))
	if err := s.ports.release(s.ctx, []int{1}); err != nil {
		t.Fatal(err)
	}
	known := []string{
		"Service second" + ips + "ClusterIPAlreadyAllocated Cluster IP [IPv4]:10.0.0.4 was assigned to multiple services; please recreate service",
		"Service far" + ips + "ClusterIPOutOfRange Cluster IP [IPv4]: 10.1.0.1 is not within any configured Service CIDR; please recreate service",
		"Service odd ipallocator-repair-controller ClusterIPValidation ClusterIPNotValid Cluster IP odd is not a valid IP; please recreate Service",
		"Service b" + ports + "PortAlreadyAllocated Port 30001 was assigned to multiple services; please recreate service",
		"Service c" + ports + "PortOutOfRange Port 80 is not within the port range 30000-32767; please recreate service",
	}
	const addresses = " ipallocator-repair-controller IPAddressAllocation "
	s.finds("after edits", append([]string{
		"Service lost" + ips + "ClusterIPNotAllocated Cluster IP [IPv4]: 10.0.0.2 is not allocated; repairing",
		"Service far" + ips + "ClusterIPNotAllocated Cluster IP [IPv4]: 10.1.0.1 is not allocated; repairing",
		"Service stolen" + ips + "ClusterIPNotAllocated the ClusterIP [IPv4]: 10.0.0.3 for Service ns/stolen has a wrong reference; repairing",
		"Service a" + ports + "PortNotAllocated Port 30001 is not allocated; repairing",
		"IPAddress 10.0.0.77" + addresses + "IPAddressNotAllocated IPAddress: 10.0.0.77 for Service ns/gone appears to have leaked: cleaning up",
		"IPAddress 10.0.0.78" + addresses + "IPAddressWrongReference IPAddress: 10.0.0.78 for Service ns/fine has a wrong reference; cleaning up",
		"IPAddress 10.0.0.79" + addresses + "IPAddressNotAllocated IPAddress 10.0.0.79 appears to have been modified, not referencing a Service &ParentReference{Group:,Resource:gateways,Namespace:ns,Name:gone,}: cleaning up",
		// What they had before.
		"IPAddress 10.0.0.5" + addresses + "IPAddressWrongReference IPAddress: 10.0.0.5 for Service ns/odd has a wrong reference; cleaning up",
		"IPAddress 10.0.0.6" + addresses + "IPAddressWrongReference IPAddress: 10.0.0.6 for Service ns/far has a wrong reference; cleaning up",
		"IPAddress 10.0.0.8" + addresses + "IPAddressWrongReference IPAddress: 10.0.0.8 for Service ns/second has a wrong reference; cleaning up",
	}, known...)...)
	s.finds("again", known...)
	for i := range maxFindings {
		name := string(rune('a'+i/26)) + "-" + string(rune('a'+i%26)) + "x"
		s.mustCreate(newService(name))
		s.edit(name, func(spec *corev1.ServiceSpec) { spec.ClusterIPs[0] = "10.1.1." + spec.ClusterIP[len("10.0.0."):] })
	}
	var told int
	s.book.log = slog.New(slog.DiscardHandler)
	s.book.tell = func(_ context.Context, f Finding) {
		if f.Reason == "ClusterIPOutOfRange" {
			told++
		}
	}
	s.repair()
	if told != maxFindings {
		t.Errorf("%d are told to be out of range", told)
	}
}
