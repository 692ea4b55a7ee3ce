package serviceapi

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

func web(name, ip string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip}}
}

func endpoints(name, of string, addrs ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: of}}, AddressType: discoveryv1.AddressTypeIPv4}
	for _, a := range addrs {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}})
	}
	return s
}

// says is what has changed, by names: no endpoints, or those of all slices.
func (c changes) says() (all []string) {
	for name, one := range c.services {
		text := name.Name + " gone"
		if one.service != nil {
			text = name.Name
			for _, s := range one.slices {
				for _, e := range s.Endpoints {
					text += " " + e.Addr.String()
				}
			}
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

func TestChangesAreTakenByServiceAndOnlyWhenAllIsListed(t *testing.T) {
	v := newView()
	services, parts := &serviceStore{v}, &sliceStore{v}
	try := func(what string, do error, want ...string) {
		t.Helper()
		if do != nil {
			t.Errorf("%s: %v", what, do)
		}
		if got := v.take().says(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	try("slices alone", parts.Replace([]any{endpoints("a-1", "a", "10.244.0.1"), endpoints("b-1", "b", "10.244.0.2")}, "1"))
	try("all is listed", services.Replace([]any{web("a", "10.96.0.1"), web("c", "10.96.0.3")}, "1"), "a 10.244.0.1", "b gone", "c")
	try("nothing", nil)
	try("an endpoint more", parts.Add(endpoints("a-2", "a", "10.244.0.3")), "a 10.244.0.1 10.244.0.3")
	try("the service of a slice", services.Add(web("b", "10.96.0.2")), "b 10.244.0.2")
	try("a slice goes to another", parts.Update(endpoints("a-2", "c", "10.244.0.3")), "a 10.244.0.1", "c 10.244.0.3")
	try("a slice of IPv6", parts.Update(&discoveryv1.EndpointSlice{ObjectMeta: endpoints("x", "a").ObjectMeta, AddressType: discoveryv1.AddressTypeIPv6}))
	try("a slice of nobody", parts.Update(endpoints("y", "")))
	try("a service becomes headless", services.Update(web("c", "None")), "c gone")
	try("a slice is gone", parts.Delete(endpoints("a-1", "a")), "a")
	try("a service is gone", services.Delete(web("b", "")), "b gone")
	try("a tombstone's object alone is known", services.Delete(web("b", "")))
	try("listed again", services.Replace([]any{web("d", "10.96.0.4")}, "2"), "a gone", "d")
	try("slices listed again", parts.Replace([]any{endpoints("d-1", "d", "10.244.0.9")}, "2"), "b gone", "c gone", "d 10.244.0.9")
	v.setZone("z")
	try("the zone", nil, "d 10.244.0.9")
	v.setZone("z")
	try("the same zone", nil)
	v.setZone("y")
	c := v.take()
	v.putBack(c)
	try("put back", nil, "d 10.244.0.9")
	for _, store := range []cache.ReflectorStore{services, parts} {
		for name, do := range map[string]func(any) error{"add": store.Add, "update": store.Update, "delete": store.Delete} {
			if do(fmt.Errorf("x")) == nil {
				t.Errorf("%T takes anything to %s", store, name)
			}
		}
	}
}
