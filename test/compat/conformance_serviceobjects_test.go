package compat

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
)

// TestConformanceServiceObjects is what services are in the API: nothing is sent to them.
func TestConformanceServiceObjects(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-network] API Server should provide secure master service", func(t *testing.T) {
		svc, err := s.client.CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
		if err != nil || len(svc.Spec.Ports) != 1 || svc.Spec.Ports[0].Port != 443 || svc.Spec.Ports[0].Name != "https" {
			t.Errorf("%+v, %v", svc, err)
		}
	})
	s.conforms(t, "[sig-network] Services should find a service from listing all namespaces", func(t *testing.T) {
		all, err := s.client.CoreV1().Services("").List(t.Context(), metav1.ListOptions{})
		s.must(t, err)
		if !slices.ContainsFunc(all.Items, func(s corev1.Service) bool { return s.Namespace == "default" && s.Name == "kubernetes" }) {
			t.Error("the list lacks default/kubernetes")
		}
	})
	s.conforms(t, "[sig-network] Services should delete a collection of services", s.deletesServices)
	s.conforms(t, "[sig-network] Services should complete a service status lifecycle", s.serviceStatus)
	s.conforms(t, "[sig-network] ServiceCIDR and IPAddress API should support ServiceCIDR API operations", s.serviceRanges)
	s.conforms(t, "[sig-network] ServiceCIDR and IPAddress API should support IPAddress API operations", s.addresses)
	s.conforms(t, "[sig-network] Service endpoints latency should not be very high", s.endpointLatency)
}

func (s *stage) deletesServices(t *testing.T) {
	client := s.client.CoreV1().Services(s.ns)
	mine := "e2e-test-service in (delete, keep)"
	for i, label := range []string{"delete", "delete", "keep"} {
		_, err := client.Create(t.Context(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: s.name("e2e-svc"), Labels: map[string]string{"e2e-test-service": label}},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: int32(8001 + i), TargetPort: intstr.FromInt(8001 + i)}}},
		}, metav1.CreateOptions{})
		s.must(t, err)
	}
	left := func(want int) []corev1.Service {
		t.Helper()
		list, err := client.List(t.Context(), metav1.ListOptions{LabelSelector: mine})
		if err != nil || len(list.Items) != want {
			t.Fatalf("%+v, %v, want %d services", list, err, want)
		}
		return list.Items
	}
	held := left(3)
	path := "/api/v1/namespaces/" + s.ns + "/services"
	s.must(t, s.client.CoreV1().RESTClient().Delete().AbsPath(path).Param("labelSelector", "e2e-test-service=delete").Do(t.Context()).Error())
	kept := left(1)[0]
	// What they had is free, and only that.
	for _, svc := range held {
		a, err := s.client.NetworkingV1().IPAddresses().Get(t.Context(), svc.Spec.ClusterIP, metav1.GetOptions{})
		if has := err == nil && a.Spec.ParentRef.Name == svc.Name; has != (svc.Name == kept.Name) {
			t.Errorf("address %s of %s: %+v, %v", svc.Spec.ClusterIP, svc.Name, a, err)
		}
	}
}

// watchedServices returns what waits for the next service of a label that is as wanted.
func (s *stage) watchedServices(t *testing.T, label string) func(kind watch.EventType, what string, wanted func(*corev1.Service) bool) {
	t.Helper()
	seen, err := s.client.CoreV1().Services(s.ns).Watch(t.Context(), metav1.ListOptions{LabelSelector: label})
	s.must(t, err)
	t.Cleanup(seen.Stop)
	return func(kind watch.EventType, what string, wanted func(*corev1.Service) bool) {
		t.Helper()
		late := time.After(stepTimeout)
		for {
			select {
			case e := <-seen.ResultChan():
				if svc, ok := e.Object.(*corev1.Service); ok && e.Type == kind && wanted(svc) {
					return
				}
			case <-late:
				t.Fatalf("no service is watched that is %s", what)
			}
		}
	}
}

func (s *stage) serviceStatus(t *testing.T) {
	client, name := s.client.CoreV1().Services(s.ns), s.name("test-service")
	next := s.watchedServices(t, "test-service-static=true")
	_, err := client.Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"test-service-static": "true"}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: new("example.com/internal-vip"),
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(80)}},
		},
	}, metav1.CreateOptions{})
	s.must(t, err)
	next(watch.Added, "new", func(svc *corev1.Service) bool { return svc.Name == name })
	raw, err := s.client.CoreV1().RESTClient().Get().Namespace(s.ns).Resource("services").Name(name).SubResource("status").DoRaw(t.Context())
	if err != nil || !strings.Contains(string(raw), `"status":{"loadBalancer":{}}`) {
		t.Errorf("status %s, %v", raw, err)
	}
	patch := `{"metadata":{"annotations":{"patchedstatus":"true"}},"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.1"}]}}}`
	_, err = client.Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	s.must(t, err)
	next(watch.Modified, "patched", func(svc *corev1.Service) bool {
		in := svc.Status.LoadBalancer.Ingress
		return svc.Annotations["patchedstatus"] == "true" && len(in) == 1 && in[0].IP == "203.0.113.1" && *in[0].IPMode == corev1.LoadBalancerIPModeVIP
	})
	svc, err := client.Get(t.Context(), name, metav1.GetOptions{})
	s.must(t, err)
	svc.Status.Conditions = append(svc.Status.Conditions, metav1.Condition{Type: "StatusUpdate", Status: metav1.ConditionTrue, Reason: "E2E", Message: "Set from e2e test"})
	_, err = client.UpdateStatus(t.Context(), svc, metav1.UpdateOptions{})
	s.must(t, err)
	next(watch.Modified, "updated", func(svc *corev1.Service) bool {
		return len(svc.Status.Conditions) == 1 && svc.Status.Conditions[0].Message == "Set from e2e test"
	})
	_, err = client.Patch(t.Context(), name, types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"test-service":"patched"}},"spec":{},"status":{"loadBalancer":{}}}`), metav1.PatchOptions{})
	s.must(t, err)
	next(watch.Modified, "labelled", func(svc *corev1.Service) bool {
		return svc.Labels["test-service"] == "patched" && len(svc.Status.LoadBalancer.Ingress) == 1
	})
	s.must(t, client.Delete(t.Context(), name, metav1.DeleteOptions{}))
	next(watch.Deleted, "gone", func(svc *corev1.Service) bool { return svc.Name == name })
}

// found fails unless discovery tells of a resource with all verbs.
func (s *stage) found(t *testing.T, kind, resource string) {
	t.Helper()
	list, err := s.client.Discovery().ServerResourcesForGroupVersion("networking.k8s.io/v1")
	s.must(t, err)
	for _, r := range list.APIResources {
		if r.Name == resource && r.Kind == kind {
			for _, verb := range strings.Fields("create get list watch update patch delete deletecollection") {
				if !slices.Contains(r.Verbs, verb) {
					t.Errorf("%s cannot be asked to %s", resource, verb)
				}
			}
			return
		}
	}
	t.Errorf("discovery lacks %s", resource)
}

func (s *stage) serviceRanges(t *testing.T) {
	s.found(t, "ServiceCIDR", "servicecidrs")
	client := s.client.NetworkingV1().ServiceCIDRs()
	first, err := client.Get(t.Context(), "kubernetes", metav1.GetOptions{})
	s.must(t, err)
	svc, err := s.client.CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
	s.must(t, err)
	if len(first.Spec.CIDRs) != 1 || strings.Replace(first.Spec.CIDRs[0], ".0/16", ".1", 1) != svc.Spec.ClusterIP {
		t.Errorf("the service kubernetes has %s of %v", svc.Spec.ClusterIP, first.Spec.CIDRs)
	}
	if !meta.IsStatusConditionTrue(first.Status.Conditions, networkingv1.ServiceCIDRConditionReady) || !slices.Contains(first.Finalizers, "networking.k8s.io/service-cidr-finalizer") {
		t.Errorf("the first range is %+v", first)
	}
	var status networkingv1.ServiceCIDR
	err = s.client.NetworkingV1().RESTClient().Get().Resource("servicecidrs").Name("kubernetes").SubResource("status").Do(t.Context()).Into(&status)
	if err != nil || status.UID != first.UID {
		t.Errorf("status %+v, %v", status, err)
	}
	list, err := client.List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) == 0 {
		t.Errorf("%+v, %v", list, err)
	}
	seen, err := client.Watch(t.Context(), metav1.ListOptions{})
	s.must(t, err)
	seen.Stop()
}

func (s *stage) addresses(t *testing.T) {
	s.found(t, "IPAddress", "ipaddresses")
	client := s.client.NetworkingV1().IPAddresses()
	parent := networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Group: "mygroup", Resource: "myresources", Namespace: "foo", Name: "bar"}}
	four := &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: "255.255.255.255", Labels: map[string]string{"type": "broadcast"}}, Spec: parent}
	six := &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: "fe80::42:1dff:fe84:f9e2", Labels: map[string]string{"type": "link-local"}}, Spec: parent}
	made, err := client.Create(t.Context(), four, metav1.CreateOptions{})
	s.must(t, err)
	_, err = client.Create(t.Context(), six, metav1.CreateOptions{})
	s.must(t, err)
	patched, err := client.Patch(t.Context(), four.Name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"patched":"true"}}}`), metav1.PatchOptions{})
	s.must(t, err)
	before, _ := strconv.ParseInt(made.ResourceVersion, 10, 64)
	if after, err := strconv.ParseInt(patched.ResourceVersion, 10, 64); err != nil || after <= before || patched.Annotations["patched"] != "true" {
		t.Errorf("patched to %+v, %v", patched, err)
	}
	patched.Annotations["updated"] = "true"
	updated, err := client.Update(t.Context(), patched, metav1.UpdateOptions{})
	if err != nil || updated.Annotations["updated"] != "true" {
		t.Errorf("updated to %+v, %v", updated, err)
	}
	_, err = client.Get(t.Context(), four.Name, metav1.GetOptions{})
	s.must(t, err)
	of := func(kind string, want int) {
		t.Helper()
		list, err := client.List(t.Context(), metav1.ListOptions{LabelSelector: "type=" + kind})
		if err != nil || len(list.Items) != want {
			t.Errorf("%+v, %v, want %d of %s", list, err, want, kind)
		}
	}
	of("broadcast", 1)
	seen, err := client.Watch(t.Context(), metav1.ListOptions{LabelSelector: "type=broadcast"})
	s.must(t, err)
	seen.Stop()
	s.must(t, client.Delete(t.Context(), four.Name, metav1.DeleteOptions{}))
	s.must(t, client.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "type=link-local"}))
	of("broadcast", 0)
	of("link-local", 0)
}

// endpointLatency makes 200 services of one pod, 15 at a time, and waits for the endpoint of
// each.
func (s *stage) endpointLatency(t *testing.T) {
	const total, parallel = 200, 15
	pod := shell(s.name("svc-latency"), forever)
	pod.Labels = map[string]string{"name": pod.Name}
	s.runs(t, pod)
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	seen, err := s.client.DiscoveryV1().EndpointSlices(s.ns).Watch(ctx, metav1.ListOptions{})
	s.must(t, err)
	defer seen.Stop()
	// A slice and the answer to the request for its service come in any order.
	type event struct {
		service string
		at      time.Time
	}
	began, done := make(chan event, total), make(chan event, total)
	work := make(chan struct{}, parallel)
	for range total {
		go func() {
			work <- struct{}{}
			defer func() { <-work }()
			svc, err := s.client.CoreV1().Services(s.ns).Create(ctx, &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{GenerateName: "latency-svc-"},
				Spec:       corev1.ServiceSpec{Selector: pod.Labels, Ports: []corev1.ServicePort{{Port: 80}}},
			}, metav1.CreateOptions{})
			if err != nil {
				t.Error(err)
				cancel()
				return
			}
			began <- event{svc.Name, time.Now()}
		}()
	}
	go func() {
		for e := range seen.ResultChan() {
			if slice, ok := e.Object.(*discoveryv1.EndpointSlice); ok && e.Type != watch.Deleted && len(slice.Endpoints) > 0 {
				done <- event{slice.Labels[discoveryv1.LabelServiceName], time.Now()}
			}
		}
	}()
	start, end := map[string]time.Time{}, map[string]time.Time{}
	var took []time.Duration
	for len(took) < total {
		var name string
		select {
		case e := <-began:
			start[e.service], name = e.at, e.service
		case e := <-done:
			if end[e.service].IsZero() {
				end[e.service], name = e.at, e.service
			}
		case <-ctx.Done():
			t.Fatalf("%d of %d services have their endpoint", len(took), total)
		}
		if from, to := start[name], end[name]; !from.IsZero() && !to.IsZero() {
			took = append(took, to.Sub(from))
		}
	}
	slices.Sort(took)
	median, tail := took[total/2], took[total*99/100]
	t.Log(fmt.Sprintf("median %s, 99 of 100 within %s", median, tail))
	if median > 20*time.Second || tail > 50*time.Second {
		t.Errorf("median %s, 99 of 100 within %s", median, tail)
	}
}
