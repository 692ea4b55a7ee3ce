package endpointslice

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
)

func objects() (*corev1.Service, *corev1.Pod, *corev1.Node) {
	named := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: map[string]string{"app": "a"}, ResourceVersion: "1"}
	}
	s := &corev1.Service{ObjectMeta: named("s"), Spec: corev1.ServiceSpec{
		ClusterIP: "10.96.0.5", IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, Selector: map[string]string{"app": "a"},
		Ports: []corev1.ServicePort{{Name: "web", Port: 80, Protocol: corev1.ProtocolTCP}}}}
	p := &corev1.Pod{ObjectMeta: named("p"), Spec: corev1.PodSpec{NodeName: "node"}, Status: corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: "10.0.0.1", PodIPs: []corev1.PodIP{{IP: "10.0.0.1"}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node", Labels: map[string]string{corev1.LabelTopologyZone: "z"}}}
	return s, p, n
}

// TestSlicesFollowPods runs the controller on a store of objects: a service's slice is made
// from its pod, made again when somebody deletes it, and emptied when the pod is over.
func TestSlicesFollowPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p, n := objects()
		client := fake.NewClientset(s, p, n)
		shared := informers.NewSharedInformerFactory(client, 0)
		c := New(env.Env{Name: Name, Client: client, Informers: shared, Wall: clock.Real(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
		ctx, cancel := context.WithCancel(t.Context())
		shared.Start(ctx.Done())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()

		one := func() discoveryv1.EndpointSlice {
			t.Helper()
			time.Sleep(time.Minute)
			list, err := client.DiscoveryV1().EndpointSlices("ns").List(ctx, metav1.ListOptions{})
			if err != nil || len(list.Items) != 1 {
				t.Fatalf("%d slices, %v", len(list.Items), err)
			}
			return list.Items[0]
		}
		slice := one()
		e := slice.Endpoints[0]
		if e.Addresses[0] != "10.0.0.1" || !*e.Conditions.Ready || *e.Zone != "z" || slice.Labels[discoveryv1.LabelManagedBy] != manager || slice.OwnerReferences[0].Name != "s" {
			t.Errorf("%+v", slice)
		}
		if err := client.DiscoveryV1().EndpointSlices("ns").Delete(ctx, slice.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if e := one().Endpoints; len(e) != 1 {
			t.Errorf("endpoints after a deletion: %+v", e)
		}
		p = p.DeepCopy()
		p.Status.Phase, p.ResourceVersion = corev1.PodSucceeded, "2"
		p.Status.Conditions[0].Status = corev1.ConditionFalse
		if _, err := client.CoreV1().Pods("ns").Update(ctx, p, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		if e := one().Endpoints; len(e) != 0 {
			t.Errorf("endpoints of a pod that is over: %+v", e)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		shared.Shutdown()
	})
}

func TestNodesThatCountDifferentlyForTheirZone(t *testing.T) {
	_, _, n := objects()
	changed := 0
	h := zoneChanges(func() { changed++ })
	other := n.DeepCopy()
	other.Annotations = map[string]string{"a": "b"}
	h.OnUpdate(n, other)
	if changed != 0 {
		t.Error("an annotation counts")
	}
	for i, change := range []func(*corev1.Node){
		func(n *corev1.Node) { n.Labels[corev1.LabelTopologyZone] = "y" },
		func(n *corev1.Node) { n.Labels["node-role.kubernetes.io/control-plane"] = "" },
		func(n *corev1.Node) {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		},
	} {
		other := n.DeepCopy()
		change(other)
		h.OnUpdate(n, other)
		if changed != i+1 {
			t.Errorf("change %d does not count", i)
		}
	}
}
