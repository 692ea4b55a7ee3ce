package compat

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/watch"
)

func TestConformanceLeases(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-node] Lease lease API should be available", s.leases)
}

// leaseSpec is the spec of a lease that has changed hands a number of times.
func leaseSpec(transitions int32) coordinationv1.LeaseSpec {
	at := func(seconds int32) *metav1.MicroTime {
		return &metav1.MicroTime{Time: time.Time{}.Add(time.Duration(seconds) * time.Second)}
	}
	return coordinationv1.LeaseSpec{
		HolderIdentity: new(fmt.Sprint("holder-", transitions)), LeaseDurationSeconds: new(30 + transitions),
		AcquireTime: at(2 + 20*transitions), RenewTime: at(5 + 20*transitions), LeaseTransitions: new(transitions),
	}
}

func (s *stage) leases(t *testing.T) {
	ns := s.ns + "-leases" // their own: they are counted
	s.sh(t, "kubectl create namespace "+ns)
	t.Cleanup(func() { s.sh(t, "kubectl delete namespace --wait=false "+ns) })
	leases := s.client.CoordinationV1().Leases(ns)
	labelled := metav1.ListOptions{LabelSelector: "deletecollection=true"}
	count := func(want int) {
		t.Helper()
		list, err := leases.List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) != want {
			t.Fatalf("%d leases, %v, want %d", len(list.Items), err, want)
		}
	}
	is := func(want coordinationv1.LeaseSpec, err error) *coordinationv1.Lease {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		got, err := leases.Get(t.Context(), "lease", metav1.GetOptions{})
		if err != nil || !equality.Semantic.DeepEqual(got.Spec, want) {
			t.Fatalf("%+v, %v, want %+v", got.Spec, err, want)
		}
		return got
	}
	_, err := leases.Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "lease"}, Spec: leaseSpec(0)}, metav1.CreateOptions{})
	lease := is(leaseSpec(0), err)
	lease.Spec = leaseSpec(1)
	_, err = leases.Update(t.Context(), lease, metav1.UpdateOptions{})
	lease = is(leaseSpec(1), err)
	next := lease.DeepCopy()
	next.Spec = leaseSpec(2)
	_, err = leases.Patch(t.Context(), "lease", types.StrategicMergePatchType, difference(t, lease, next), metav1.PatchOptions{})
	is(leaseSpec(2), err)

	second := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "lease2", Labels: map[string]string{"deletecollection": "true"}}, Spec: leaseSpec(0)}
	if _, err := leases.Create(t.Context(), second, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	count(2)
	if err := leases.DeleteCollection(t.Context(), metav1.DeleteOptions{}, labelled); err != nil {
		t.Fatal(err)
	}
	count(1)
	if err := leases.Delete(t.Context(), "lease", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := leases.Get(t.Context(), "lease", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("reading the deleted lease: %v", err)
	}
	all, err := s.client.CoordinationV1().Leases(metav1.NamespaceAll).List(t.Context(), metav1.ListOptions{})
	if err != nil || !slices.ContainsFunc(all.Items, func(l coordinationv1.Lease) bool { return l.Namespace == corev1.NamespaceNodeLease }) {
		t.Errorf("the leases of all namespaces lack the node's: %v, %v", all.Items, err)
	}
}

// difference is the strategic merge patch that makes an object another.
func difference[T any](t testing.TB, from, to *T) []byte {
	t.Helper()
	a, err := json.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(to)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(a, b, *new(T))
	if err != nil {
		t.Fatal(err)
	}
	return patch
}

func (s *stage) nodeLife(t *testing.T) {
	nodes := s.client.CoreV1().Nodes()
	const name = "conformance-fake-node"
	made, err := nodes.Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.NodeSpec{Unschedulable: true},
		Status: corev1.NodeStatus{Phase: corev1.NodeRunning, Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Test", Message: "set by a test"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nodes.Delete(context.Background(), name, metav1.DeleteOptions{}) })
	if _, err := resourceversion.CompareResourceVersion(made.ResourceVersion, made.ResourceVersion); err != nil || made.Name != name || made.UID == "" {
		t.Errorf("made %q, UID %q, version %q: %v", made.Name, made.UID, made.ResourceVersion, err)
	}
	if got, err := nodes.Get(t.Context(), name, metav1.GetOptions{}); err != nil || got.Name != name || got.UID != made.UID {
		t.Errorf("read %+v, %v", got.ObjectMeta, err)
	}
	patched, err := nodes.Patch(t.Context(), name, types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"`+name+`":"patched"}}}`), metav1.PatchOptions{})
	if err != nil || patched.Labels[name] != "patched" {
		t.Fatalf("patched %v, %v", patched.Labels, err)
	}
	if order, err := resourceversion.CompareResourceVersion(made.ResourceVersion, patched.ResourceVersion); err != nil || order != -1 {
		t.Errorf("version %q after %q: %v", patched.ResourceVersion, made.ResourceVersion, err)
	}
	list, err := nodes.List(t.Context(), metav1.ListOptions{LabelSelector: name + "=patched"})
	if err != nil || len(list.Items) != 1 || list.Items[0].Name != name {
		t.Errorf("the list by label has %d nodes, %v", len(list.Items), err)
	}
	eventually(t, 10*time.Second, func() error { // the lifecycle controller writes, too
		node, err := nodes.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		node.Labels[name] = "updated"
		updated, err := nodes.Update(t.Context(), node, metav1.UpdateOptions{})
		if err == nil && updated.Labels[name] != "updated" {
			t.Errorf("updated %v", updated.Labels)
		}
		return err
	})
	if err := nodes.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if _, err := nodes.Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the deleted node is read: %v", err)
		}
		return nil
	})
}

func TestConformanceRuntimeClasses(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-node] RuntimeClass should support RuntimeClasses API operations", s.runtimeClassLife)
	rejected := func(t *testing.T, class string) {
		pod := shell(s.name("pod"), "true")
		pod.Spec.RuntimeClassName = &class
		_, err := s.client.CoreV1().Pods(s.ns).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), fmt.Sprintf("RuntimeClass %q not found", class)) {
			t.Errorf("a pod with the RuntimeClass %s: %v", class, err)
		}
	}
	s.conforms(t, "[sig-node] RuntimeClass should reject a Pod requesting a non-existent RuntimeClass", func(t *testing.T) {
		rejected(t, s.ns+"-nonexistent")
	})
	s.conforms(t, "[sig-node] RuntimeClass should reject a Pod requesting a deleted RuntimeClass", func(t *testing.T) {
		class := s.runtimeClass(t, "delete-me", nil)
		if err := s.client.NodeV1().RuntimeClasses().Delete(t.Context(), class, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.client.NodeV1().RuntimeClasses().Get(t.Context(), class, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Fatalf("the deleted RuntimeClass is read: %v", err)
		}
		rejected(t, class)
	})
	run := func(t *testing.T, class string) *corev1.Pod {
		pod := shell(s.name("pod"), forever)
		pod.Spec.RuntimeClassName = &class
		return s.runs(t, pod) // runc is the handler: upstream does not ask that it runs
	}
	s.conforms(t, "[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass without PodOverhead", func(t *testing.T) {
		if pod := run(t, s.runtimeClass(t, "plain", nil)); len(pod.Spec.Overhead) != 0 || pod.Spec.NodeName == "" {
			t.Errorf("on node %q with the overhead %v", pod.Spec.NodeName, pod.Spec.Overhead)
		}
	})
	s.conforms(t, "[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass and initialize its Overhead", func(t *testing.T) {
		overhead := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("1Mi")}
		if pod := run(t, s.runtimeClass(t, "heavy", overhead)); !equality.Semantic.DeepEqual(pod.Spec.Overhead, overhead) {
			t.Errorf("overhead %v, want %v", pod.Spec.Overhead, overhead)
		}
	})
}

// runtimeClass makes a RuntimeClass of the namespace's for runc, and removes it at the end
// of the test.
func (s *stage) runtimeClass(t testing.TB, name string, overhead corev1.ResourceList) string {
	t.Helper()
	class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: s.ns + "-" + name}, Handler: "runc"}
	if overhead != nil {
		class.Overhead = &nodev1.Overhead{PodFixed: overhead}
	}
	if _, err := s.client.NodeV1().RuntimeClasses().Create(t.Context(), class, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.client.NodeV1().RuntimeClasses().Delete(context.Background(), class.Name, metav1.DeleteOptions{})
	})
	return class.Name
}

func (s *stage) runtimeClassLife(t *testing.T) {
	found := func(path, part string) {
		t.Helper()
		if body, err := s.client.Discovery().RESTClient().Get().AbsPath(path).DoRaw(t.Context()); err != nil || !strings.Contains(string(body), part) {
			t.Errorf("%s lacks %s: %v\n%s", path, part, err, body)
		}
	}
	found("/apis", `"groupVersion":"node.k8s.io/v1"`)
	found("/apis/node.k8s.io", `"groupVersion":"node.k8s.io/v1"`)
	found("/apis/node.k8s.io/v1", `"name":"runtimeclasses"`)

	classes, mine := s.client.NodeV1().RuntimeClasses(), metav1.ListOptions{LabelSelector: "test=" + s.ns}
	class := func(n int) *nodev1.RuntimeClass {
		return &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-life-%d", s.ns, n), Labels: map[string]string{"test": s.ns}}, Handler: fmt.Sprint("handler-", n)}
	}
	count := func(want int) {
		t.Helper()
		if list, err := classes.List(t.Context(), mine); err != nil || len(list.Items) != want {
			t.Errorf("%d classes, %v, want %d", len(list.Items), err, want)
		}
	}
	make := func(n int) *nodev1.RuntimeClass {
		t.Helper()
		made, err := classes.Create(t.Context(), class(n), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	first := make(1)
	t.Cleanup(func() { _ = classes.DeleteCollection(context.Background(), metav1.DeleteOptions{}, mine) })
	if _, err := classes.Create(t.Context(), class(1), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("made twice: %v", err)
	}
	make(2)
	changes, err := classes.Watch(t.Context(), mine)
	if err != nil {
		t.Fatal(err)
	}
	defer changes.Stop()
	make(3)
	if got, err := classes.Get(t.Context(), first.Name, metav1.GetOptions{}); err != nil || got.UID != first.UID {
		t.Errorf("read %q, %v", got.UID, err)
	}
	count(3)
	patched, err := classes.Patch(t.Context(), first.Name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"patched":"true"}}}`), metav1.PatchOptions{})
	if err != nil || patched.Annotations["patched"] != "true" {
		t.Fatalf("patched %v, %v", patched.Annotations, err)
	}
	patched.Annotations["updated"] = "true"
	if updated, err := classes.Update(t.Context(), patched, metav1.UpdateOptions{}); err != nil || updated.Annotations["updated"] != "true" {
		t.Fatalf("updated %v, %v", updated.Annotations, err)
	}
	seen := map[string]bool{}
	for !seen["added"] || !seen["patched"] || !seen["updated"] {
		select {
		case event, open := <-changes.ResultChan():
			c, is := event.Object.(*nodev1.RuntimeClass)
			if !open || !is {
				t.Fatalf("the watch tells of %v %v", event.Type, event.Object)
			}
			seen["added"] = seen["added"] || event.Type == watch.Added && c.Name == class(3).Name
			if event.Type == watch.Modified {
				for key := range c.Annotations {
					seen[key] = true
				}
			}
		case <-time.After(stepTimeout):
			t.Fatalf("the watch has told of %v", seen)
		}
	}
	if err := classes.Delete(t.Context(), first.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := classes.Get(t.Context(), first.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the deleted class is read: %v", err)
	}
	count(2)
	if err := classes.DeleteCollection(t.Context(), metav1.DeleteOptions{}, mine); err != nil {
		t.Fatal(err)
	}
	count(0)
}

func TestConformanceSysctls(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-node] Sysctls should support sysctls", func(t *testing.T) {
		pod := shell(s.name("pod"), "")
		pod.Spec.Containers[0].Command = []string{"sysctl", "kernel.shm_rmid_forced"}
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: "kernel.shm_rmid_forced", Value: "1"}}}
		if got := s.output(t, pod); got != "kernel.shm_rmid_forced = 1\n" {
			t.Errorf("sysctl prints %q", got)
		}
	})
	s.conforms(t, "[sig-node] Sysctls should reject invalid sysctls", func(t *testing.T) {
		pod := shell(s.name("pod"), "true")
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{
			{Name: "foo-", Value: "bar"}, {Name: "kernel.shmmax", Value: "100000000"}, {Name: "safe-and-unsafe", Value: "100000000"}, {Name: "bar..", Value: "42"},
		}}
		_, err := s.client.CoreV1().Pods(s.ns).Create(t.Context(), pod, metav1.CreateOptions{})
		if err == nil {
			t.Fatal("taken")
		}
		contains(t, err.Error(), `Invalid value: "foo-"`, `Invalid value: "bar.."`)
		for _, fine := range []string{"safe-and-unsafe", "kernel.shmmax"} {
			if strings.Contains(err.Error(), fine) {
				t.Errorf("%s is named: %v", fine, err)
			}
		}
	})
}
