package compat

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
)

func TestConformanceEndpoints(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-network] API Server should have Endpoints and EndpointSlices pointing to API Server", func(t *testing.T) {
		endpoints, err := s.client.CoreV1().Endpoints("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
		if err != nil || len(endpoints.Subsets) != 1 {
			t.Fatalf("%+v, %v", endpoints, err)
		}
		if _, err := s.client.DiscoveryV1().EndpointSlices("default").Get(t.Context(), "kubernetes", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
		list := s.slicesOf(t, "default", "kubernetes")
		if got, want := says(list), saysEndpoints(endpoints); !slices.Equal(got, want) || len(got) == 0 {
			t.Errorf("slices say %q, endpoints %q", got, want)
		}
	})
	s.conforms(t, "[sig-network] EndpointSlice should create Endpoints and EndpointSlices for Pods matching a Service", func(t *testing.T) {
		s.matchingPods(t, func(service string, want ...string) {
			t.Helper()
			eventually(t, 30*time.Second, func() error {
				list := s.slicesOf(t, s.ns, service)
				for _, slice := range list {
					if slice.Labels[discoveryv1.LabelManagedBy] != "endpointslice-controller.k8s.io" || len(slice.OwnerReferences) != 1 || slice.OwnerReferences[0].Name != service {
						t.Errorf("slice %+v", slice.ObjectMeta)
					}
				}
				if got := says(list); !slices.Equal(got, want) || len(list) == 0 {
					return fmt.Errorf("%d slices of %s say %q, want %q", len(list), service, got, want)
				}
				return nil
			})
			// They are made again.
			if err := s.client.DiscoveryV1().EndpointSlices(s.ns).DeleteCollection(t.Context(), metav1.DeleteOptions{}, sliceSelector(service)); err != nil {
				t.Fatal(err)
			}
			eventually(t, 30*time.Second, func() error {
				if got := says(s.slicesOf(t, s.ns, service)); !slices.Equal(got, want) {
					return fmt.Errorf("after a deletion slices of %s say %q, want %q", service, got, want)
				}
				return nil
			})
		})
	})
	s.conforms(t, "[sig-network] EndpointsController should create Endpoints for Pods matching a Service", func(t *testing.T) {
		s.matchingPods(t, func(service string, want ...string) {
			t.Helper()
			eventually(t, 30*time.Second, func() error {
				endpoints, err := s.client.CoreV1().Endpoints(s.ns).Get(t.Context(), service, metav1.GetOptions{})
				if err != nil {
					return err
				}
				if got := saysEndpoints(endpoints); !slices.Equal(got, want) {
					return fmt.Errorf("endpoints of %s say %q, want %q", service, got, want)
				}
				return nil
			})
		})
	})
	s.conforms(t, "[sig-network] EndpointsController should create and delete Endpoints for a Service with a selector that matches no pods", func(t *testing.T) {
		service := s.service(t, map[string]string{"does-not-match-anything": "at-all"}, corev1.ServicePort{Name: "example", Port: 80})
		get := func() error {
			_, err := s.client.CoreV1().Endpoints(s.ns).Get(t.Context(), service, metav1.GetOptions{})
			return err
		}
		eventually(t, 20*time.Second, get)
		if err := s.client.CoreV1().Services(s.ns).Delete(t.Context(), service, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, func() error {
			if err := get(); !apierrors.IsNotFound(err) {
				return fmt.Errorf("endpoints of a service that is gone: %v", err)
			}
			return nil
		})
	})
	s.conforms(t, "[sig-network] EndpointSlice should create and delete EndpointSlices for a Service with a selector that matches no pods", func(t *testing.T) {
		service := s.service(t, map[string]string{"does-not-match-anything": "at-all"}, corev1.ServicePort{Name: "example", Port: 80})
		eventually(t, 20*time.Second, func() error {
			list := s.slicesOf(t, s.ns, service)
			if len(list) != 1 || len(list[0].Endpoints) != 0 || list[0].Labels[discoveryv1.LabelManagedBy] != "endpointslice-controller.k8s.io" {
				return fmt.Errorf("slices %+v", list)
			}
			return nil
		})
		if err := s.client.CoreV1().Services(s.ns).Delete(t.Context(), service, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 30*time.Second, func() error { // the collector takes them
			if list := s.slicesOf(t, s.ns, service); len(list) > 0 {
				return fmt.Errorf("slices of a service that is gone: %+v", list)
			}
			return nil
		})
	})
	s.conforms(t, "[sig-network] EndpointSliceMirroring should mirror a custom Endpoints resource through create update and delete", s.mirrors)
	s.conforms(t, "[sig-network] Endpoints should test the lifecycle of an Endpoint", s.endpointLife)
	s.conforms(t, "[sig-network] EndpointSlice should support creating EndpointSlice API operations", s.sliceLife)
}

func sliceSelector(service string) metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service}
}

func (s *stage) slicesOf(t testing.TB, ns, service string) []discoveryv1.EndpointSlice {
	t.Helper()
	list, err := s.client.DiscoveryV1().EndpointSlices(ns).List(t.Context(), sliceSelector(service))
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// says lists the addresses and ports of slices.
func says(all []discoveryv1.EndpointSlice) (list []string) {
	for _, slice := range all {
		for _, p := range slice.Ports {
			for _, e := range slice.Endpoints {
				list = append(list, fmt.Sprintf("%s:%d %s", e.Addresses[0], *p.Port, *p.Name))
			}
		}
	}
	slices.Sort(list)
	return list
}

func saysEndpoints(e *corev1.Endpoints) (list []string) {
	for _, subset := range e.Subsets {
		for _, p := range subset.Ports {
			for _, a := range slices.Concat(subset.Addresses, subset.NotReadyAddresses) {
				list = append(list, fmt.Sprintf("%s:%d %s", a.IP, p.Port, p.Name))
			}
		}
	}
	slices.Sort(list)
	return list
}

// service makes a service.
func (s *stage) service(t testing.TB, selector map[string]string, ports ...corev1.ServicePort) string {
	t.Helper()
	services := s.client.CoreV1().Services(s.ns)
	made, err := services.Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: s.name("service")},
		Spec:       corev1.ServiceSpec{Selector: selector, PublishNotReadyAddresses: true, Ports: ports},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = services.Delete(context.Background(), made.Name, metav1.DeleteOptions{}) })
	return made.Name
}

// matchingPods runs two pods and makes three services: of one of them, of both by the name
// of a port, and of none.
func (s *stage) matchingPods(t *testing.T, expect func(service string, want ...string)) {
	t.Helper()
	own := s.name("own")
	var ips []string
	var pods []*corev1.Pod
	for i, ports := range [][]corev1.ContainerPort{
		{{Name: "example-name", ContainerPort: 3000}}, {{Name: "example-name", ContainerPort: 3001}, {Name: "other-port", ContainerPort: 3002}},
	} {
		pod := shell(s.name("pod"), forever)
		pod.Labels = map[string]string{own: "on", fmt.Sprint(own, "-", i): "on"}
		pod.Spec.Containers[0].Ports = ports
		pods = append(pods, s.create(t, pod))
	}
	one := s.service(t, map[string]string{own + "-0": "on"}, corev1.ServicePort{Name: "example", Port: 80, TargetPort: intstr.FromInt32(3000)})
	both := s.service(t, map[string]string{own: "on"}, corev1.ServicePort{Name: "http", Port: 80, TargetPort: intstr.FromString("example-name")})
	none := s.service(t, map[string]string{own + "-9": "on"}, corev1.ServicePort{Name: "example-no-match", Port: 80, TargetPort: intstr.FromInt32(8080)})
	for _, pod := range pods {
		ips = append(ips, s.await(t, pod, "to have an address", func(p *corev1.Pod) bool { return len(p.Status.PodIPs) > 0 }).Status.PodIP)
	}
	expect(one, ips[0]+":3000 example")
	want := []string{ips[0] + ":3000 http", ips[1] + ":3001 http"}
	slices.Sort(want)
	expect(both, want...)
	expect(none)
}

func (s *stage) mirrors(t *testing.T) {
	service := s.service(t, nil, corev1.ServicePort{Name: "example", Port: 80})
	endpoints := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: service}, Subsets: []corev1.EndpointSubset{{
		Ports: []corev1.EndpointPort{{Port: 80}}, Addresses: []corev1.EndpointAddress{{IP: "10.1.2.3"}},
	}}}
	client := s.client.CoreV1().Endpoints(s.ns)
	mirrored := func(want ...string) {
		t.Helper()
		eventually(t, 12*time.Second, func() error {
			list := s.slicesOf(t, s.ns, service)
			if got := says(list); !slices.Equal(got, want) || len(list) != len(want) {
				return fmt.Errorf("%d slices say %q, want %q", len(list), got, want)
			}
			return nil
		})
	}
	if _, err := client.Create(t.Context(), endpoints, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	mirrored("10.1.2.3:80 ")
	endpoints.Subsets[0].Addresses[0].IP = "10.2.3.4"
	if _, err := client.Update(t.Context(), endpoints, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	mirrored("10.2.3.4:80 ")
	if err := client.Delete(t.Context(), service, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	mirrored()
}

func (s *stage) endpointLife(t *testing.T) {
	client, mine := s.client.CoreV1().Endpoints(s.ns), metav1.ListOptions{LabelSelector: "test-endpoint-static=true"}
	seen, err := client.Watch(t.Context(), mine)
	if err != nil {
		t.Fatal(err)
	}
	defer seen.Stop()
	next := func(kind watch.EventType, check func(*corev1.Endpoints) bool) {
		t.Helper()
		select {
		case e := <-seen.ResultChan():
			if got, ok := e.Object.(*corev1.Endpoints); !ok || e.Type != kind || !check(got) {
				t.Errorf("watched %s of %+v, want %s", e.Type, e.Object, kind)
			}
		case <-time.After(stepTimeout):
			t.Errorf("no %s is watched", kind)
		}
	}
	e := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "testservice", Labels: map[string]string{"test-endpoint-static": "true"}},
		Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.24"}}, Ports: []corev1.EndpointPort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}}}}}
	if _, err := client.Create(t.Context(), e, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	next(watch.Added, func(e *corev1.Endpoints) bool { return e.Name == "testservice" })
	all, err := s.client.CoreV1().Endpoints("").List(t.Context(), mine)
	if err != nil || !slices.ContainsFunc(all.Items, func(e corev1.Endpoints) bool { return e.Namespace == s.ns && e.Name == "testservice" }) {
		t.Errorf("the list of all lacks it: %v", err)
	}
	e.Labels["test-service"] = "updated"
	if _, err := client.Update(t.Context(), e, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	next(watch.Modified, func(e *corev1.Endpoints) bool { return e.Labels["test-service"] == "updated" })
	if got, err := client.Get(t.Context(), "testservice", metav1.GetOptions{}); err != nil || got.Labels["test-service"] != "updated" {
		t.Errorf("read %+v, %v", got, err)
	}
	patch := `{"metadata": {"labels": {"test-service": "patched"}}, "subsets": [{"addresses": [{"ip": "10.0.0.25"}], "ports": [{"name": "http-test", "port": 8080}]}]}`
	if _, err := client.Patch(t.Context(), "testservice", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	next(watch.Modified, func(e *corev1.Endpoints) bool {
		return e.Labels["test-service"] == "patched" && e.Subsets[0].Addresses[0].IP == "10.0.0.25" && e.Subsets[0].Ports[0].Name == "http-test" && e.Subsets[0].Ports[0].Port == 8080
	})
	if err := client.DeleteCollection(t.Context(), metav1.DeleteOptions{}, mine); err != nil {
		t.Fatal(err)
	}
	next(watch.Deleted, func(e *corev1.Endpoints) bool { return e.Name == "testservice" })
	if _, err := client.Get(t.Context(), "testservice", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after the deletion: %v", err)
	}
}

func (s *stage) sliceLife(t *testing.T) {
	for path, part := range map[string]string{
		"/apis": `"groupVersion":"discovery.k8s.io/v1"`, "/apis/discovery.k8s.io": `"groupVersion":"discovery.k8s.io/v1"`, "/apis/discovery.k8s.io/v1": `"name":"endpointslices"`,
	} {
		body, err := s.client.Discovery().RESTClient().Get().AbsPath(path).DoRaw(t.Context())
		if err != nil || !strings.Contains(string(body), part) {
			t.Errorf("%s lacks %s: %v", path, part, err)
		}
	}
	client, mine := s.client.DiscoveryV1().EndpointSlices(s.ns), metav1.ListOptions{LabelSelector: "special-label=" + s.ns}
	var names []string
	for range 3 {
		made, err := client.Create(t.Context(), &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{GenerateName: "e2e-example-ing", Labels: map[string]string{"special-label": s.ns}},
			AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"1.2.3.4", "5.6.7.8"}}, {Addresses: []string{"2.2.3.4", "6.6.7.8"}}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, made.Name)
	}
	count := func(want int) string {
		t.Helper()
		own, err := client.List(t.Context(), mine)
		all, allErr := s.client.DiscoveryV1().EndpointSlices("").List(t.Context(), mine)
		if err != nil || allErr != nil || len(own.Items) != want || len(all.Items) != want {
			t.Fatalf("%d and %d slices, %v, %v, want %d", len(own.Items), len(all.Items), err, allErr, want)
		}
		return own.ResourceVersion
	}
	from := mine
	from.ResourceVersion = count(3)
	seen, err := client.Watch(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer seen.Stop()
	patched, err := client.Patch(t.Context(), names[2], types.MergePatchType, []byte(`{"metadata":{"annotations":{"patched":"true"}}}`), metav1.PatchOptions{})
	if err != nil || patched.Annotations["patched"] != "true" {
		t.Fatalf("%+v, %v", patched, err)
	}
	patched.Annotations["updated"] = "true"
	updated, err := client.Update(t.Context(), patched, metav1.UpdateOptions{})
	if err != nil || updated.Annotations["updated"] != "true" {
		t.Fatalf("%+v, %v", updated, err)
	}
	for _, annotation := range []string{"patched", "updated"} {
		select {
		case e := <-seen.ResultChan():
			if got, ok := e.Object.(*discoveryv1.EndpointSlice); !ok || e.Type != watch.Modified || got.Annotations[annotation] != "true" {
				t.Errorf("watched %s of %+v, want what is %s", e.Type, e.Object, annotation)
			}
		case <-time.After(stepTimeout):
			t.Errorf("the %s slice is not watched", annotation)
		}
	}
	if err := client.Delete(t.Context(), names[2], metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get(t.Context(), names[2], metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after the deletion: %v", err)
	}
	count(2)
	if err := client.DeleteCollection(t.Context(), metav1.DeleteOptions{}, mine); err != nil {
		t.Fatal(err)
	}
	count(0)
}
