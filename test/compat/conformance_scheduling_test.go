package compat

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

// TestConformanceScheduling has a system of its own: its behaviours taint the node, fill
// it, evict from it, and put other nodes beside it.
func TestConformanceScheduling(t *testing.T) {
	t.Parallel()
	sys := prepared(t)
	if err := sys.Start(); err != nil {
		t.Fatal(err)
	}
	load := exec.Command(programs.Path("laterna"), "image", "import", "--data-dir", sys.Dir, imageDir+"/busybox-1.28.tar")
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("importing the image: %v\n%s", err, out)
	}
	s := &stage{system: sys, ns: "default", client: sys.client(t)}
	for class, priority := range map[string]int32{"low": 1, "medium": 100, "high": 1000} {
		s.priorityClass(t, class, priority)
	}
	s.conforms(t, "[sig-node] Node Lifecycle should run through the lifecycle of a node", s.nodeLife)
	s.placement(t)
	s.preemption(t)
	s.taints(t)
}

// node returns the node that runs pods.
func (s *stage) node(t testing.TB) *corev1.Node {
	t.Helper()
	nodes, err := s.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{LabelSelector: corev1.LabelHostname})
	if err != nil || len(nodes.Items) != 1 {
		t.Fatalf("%d nodes, %v", len(nodes.Items), err)
	}
	return &nodes.Items[0]
}

// undriven is a pod that sleeps, whatever drives pods from nodes.
func undriven(name string) *corev1.Pod {
	pod := shell(name, forever)
	pod.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}}
	return pod
}

// asks makes a pod's container ask for an amount of a resource.
func asks(pod *corev1.Pod, name corev1.ResourceName, amount resource.Quantity) *corev1.Pod {
	list := corev1.ResourceList{name: amount}
	pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: list, Limits: list}
	return pod
}

// unplaced waits until the scheduler has said that no node takes a pod, and checks that
// it is on none a moment later.
func (s *stage) unplaced(t testing.TB, pod *corev1.Pod, why string) {
	t.Helper()
	pod = s.await(t, pod, "to be told of as unschedulable", func(p *corev1.Pod) bool {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
				return true
			}
		}
		return p.Spec.NodeName != ""
	})
	eventually(t, 10*time.Second, func() error {
		events, err := s.client.CoreV1().Events(pod.Namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=FailedScheduling,involvedObject.name=" + pod.Name})
		if err != nil || len(events.Items) == 0 {
			return fmt.Errorf("no Event FailedScheduling: %v", err)
		}
		contains(t, events.Items[0].Message, why)
		return nil
	})
	time.Sleep(500 * time.Millisecond)
	if pod, err := s.client.CoreV1().Pods(pod.Namespace).Get(t.Context(), pod.Name, metav1.GetOptions{}); err != nil || pod.Spec.NodeName != "" {
		t.Errorf("on node %q, %v", pod.Spec.NodeName, err)
	}
}

func (s *stage) placement(t *testing.T) {
	s.conforms(t, "[sig-scheduling] SchedulerPredicates validates that NodeSelector is respected if matching", func(t *testing.T) {
		node, label := s.node(t), "kubernetes.io/e2e-"+strings.ToLower(s.name("label"))
		s.labelled(t, node, label, "42")
		pod := undriven(s.name("with-labels"))
		pod.Spec.NodeSelector = map[string]string{label: "42"}
		if pod = s.runs(t, pod); pod.Spec.NodeName != node.Name {
			t.Errorf("on node %q", pod.Spec.NodeName)
		}
	})
	s.conforms(t, "[sig-scheduling] SchedulerPredicates validates that NodeSelector is respected if not matching", func(t *testing.T) {
		pod := undriven(s.name("restricted"))
		pod.Spec.NodeSelector = map[string]string{"label": "nonempty"}
		s.unplaced(t, s.create(t, pod), "node(s) didn't match Pod's node affinity/selector")
	})
	s.conforms(t, "[sig-scheduling] SchedulerPredicates validates resource limits of pods that are allowed to run", func(t *testing.T) {
		free := s.node(t).Status.Allocatable.Cpu().MilliValue() // nothing else here asks for CPU
		filler := s.runs(t, asks(undriven(s.name("filler")), corev1.ResourceCPU, *resource.NewMilliQuantity(free*7/10, resource.DecimalSI)))
		additional := s.create(t, asks(undriven(s.name("additional")), corev1.ResourceCPU, *resource.NewMilliQuantity(free/2, resource.DecimalSI)))
		s.unplaced(t, additional, "Insufficient cpu")
		if err := s.client.CoreV1().Pods(s.ns).Delete(t.Context(), filler.Name, *metav1.NewDeleteOptions(0)); err != nil {
			t.Fatal(err)
		}
		s.await(t, additional, "to run once there is room", isRunning)
	})
}

// labelled labels a node until the end of the test.
func (s *stage) labelled(t testing.TB, node *corev1.Node, label, value string) {
	t.Helper()
	set := func(ctx context.Context, value any) error {
		patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%s}}}`, label, value)
		_, err := s.client.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		return err
	}
	if err := set(t.Context(), fmt.Sprintf("%q", value)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set(context.Background(), "null") })
}

// offers makes a node offer an amount of an extended resource, as the documentation of
// those does, and waits until pods can have it.
func (s *stage) offers(t testing.TB, node string, name corev1.ResourceName, amount int64) {
	t.Helper()
	patch := fmt.Sprintf(`{"status":{"capacity":{%q:"%d"}}}`, name, amount)
	if _, err := s.client.CoreV1().Nodes().Patch(t.Context(), node, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		got, err := s.client.CoreV1().Nodes().Get(t.Context(), node, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if has := got.Status.Allocatable[name]; has.Value() != amount {
			return fmt.Errorf("node %s has %v of %s for pods, want %d", node, has.Value(), name, amount)
		}
		return nil
	})
}

// beside is a second node, which nobody runs: it takes pods that tolerate it and offers
// an amount of an extended resource.
func (s *stage) beside(t testing.TB, offer corev1.ResourceName, amount int64) (name string) {
	t.Helper()
	name = s.name("beside")
	room := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("4Gi"),
		corev1.ResourcePods: resource.MustParse("10"), offer: *resource.NewQuantity(amount, resource.DecimalSI)}
	_, err := s.client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "beside", Effect: corev1.TaintEffectNoSchedule}}},
		Status: corev1.NodeStatus{Capacity: room, Allocatable: room,
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.client.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{}) })
	return name
}

// wants is a pod of a priority that asks for a resource, on one node or on any.
func wants(name, class, node string, resourceName corev1.ResourceName, amount int64) *corev1.Pod {
	pod := asks(undriven(name), resourceName, *resource.NewQuantity(amount, resource.DecimalSI))
	pod.Spec.PriorityClassName = class
	pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Key: "beside", Operator: corev1.TolerationOpExists})
	if node != "" {
		pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
				{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}}}}}
	}
	return pod
}

func (s *stage) preemption(t *testing.T) {
	// preempts fills two nodes and runs a pod that must have the place of the least one.
	preempts := func(t *testing.T, in *stage, class string, offer corev1.ResourceName) {
		node := s.node(t).Name
		other := s.beside(t, offer, 3)
		s.offers(t, node, offer, 3)
		low := s.runs(t, wants(s.name("low"), "low", node, offer, 2))
		medium := s.await(t, s.create(t, wants(s.name("medium"), "medium", other, offer, 2)), "to be placed", func(p *corev1.Pod) bool { return p.Spec.NodeName != "" })
		preemptor := in.runs(t, wants(s.name("preemptor"), class, "", offer, 2))
		if preemptor.Spec.NodeName != node {
			t.Errorf("the preemptor is on node %q", preemptor.Spec.NodeName)
		}
		if p, err := s.client.CoreV1().Pods(s.ns).Get(t.Context(), low.Name, metav1.GetOptions{}); err == nil && p.UID == low.UID && p.DeletionTimestamp == nil {
			t.Errorf("the pod of low priority is still there: %+v", p.Status)
		} else if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
		if p, err := s.client.CoreV1().Pods(s.ns).Get(t.Context(), medium.Name, metav1.GetOptions{}); err != nil || p.DeletionTimestamp != nil {
			t.Errorf("the pod of medium priority had to go: %v, %v", p.DeletionTimestamp, err)
		}
	}
	s.conforms(t, "[sig-scheduling] SchedulerPreemption validates basic preemption works", func(t *testing.T) {
		preempts(t, s, "high", "scheduling.k8s.io/basic")
	})
	s.conforms(t, "[sig-scheduling] SchedulerPreemption validates lower priority pod preemption by critical pod", func(t *testing.T) {
		system := &stage{system: s.system, ns: metav1.NamespaceSystem, client: s.client}
		preempts(t, system, "system-cluster-critical", "scheduling.k8s.io/critical")
	})
	s.conforms(t, "[sig-scheduling] SchedulerPreemption PreemptionExecutionPath runs ReplicaSets to verify preemption running path", s.preemptedSets)
	s.conforms(t, "[sig-scheduling] SchedulerPreemption validates pod disruption condition is added to the preempted pod", func(t *testing.T) {
		const offer, finalizer = "scheduling.k8s.io/condition", "example.com/test-finalizer"
		node := s.node(t).Name
		s.offers(t, node, offer, 1)
		pod := wants(s.name("victim"), "low", node, offer, 1)
		pod.Finalizers = []string{finalizer}
		victim := s.runs(t, pod)
		free := func() {
			_, _ = s.client.CoreV1().Pods(s.ns).Patch(context.Background(), victim.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		}
		t.Cleanup(free)
		preemptor := s.create(t, wants(s.name("preemptor"), "high", node, offer, 1))
		victim = s.await(t, victim, "to be deleted", func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil })
		said := false
		for _, c := range victim.Status.Conditions {
			said = said || c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && c.Reason == corev1.PodReasonPreemptionByScheduler
		}
		if !said {
			t.Errorf("the conditions of the preempted pod: %+v", victim.Status.Conditions)
		}
		s.await(t, preemptor, "to run in the place of the ended pod", isRunning)
		free()
		eventually(t, 20*time.Second, func() error {
			if _, err := s.client.CoreV1().Pods(s.ns).Get(t.Context(), victim.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("the preempted pod is read: %v", err)
			}
			return nil
		})
	})
}

// priorityClass makes a PriorityClass and removes it at the end of the test.
func (s *stage) priorityClass(t testing.TB, name string, value int32) *schedulingv1.PriorityClass {
	t.Helper()
	made, err := s.client.SchedulingV1().PriorityClasses().Create(t.Context(), &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.client.SchedulingV1().PriorityClasses().Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return made
}

func TestConformancePriorityClasses(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-scheduling] SchedulerPreemption PriorityClass endpoints verify PriorityClass endpoints can be operated with different HTTP methods", func(t *testing.T) {
		classes := s.client.SchedulingV1().PriorityClasses()
		patch := func(from *schedulingv1.PriorityClass, change func(*schedulingv1.PriorityClass)) error {
			to := from.DeepCopy()
			change(to)
			_, err := classes.Patch(t.Context(), from.Name, types.StrategicMergePatchType, difference(t, from, to), metav1.PatchOptions{})
			return err
		}
		update := func(from *schedulingv1.PriorityClass, change func(*schedulingv1.PriorityClass)) error {
			to := from.DeepCopy()
			change(to)
			_, err := classes.Update(t.Context(), to, metav1.UpdateOptions{})
			return err
		}
		const description = "updated description"
		made := map[string]*schedulingv1.PriorityClass{}
		for value, write := range []func(*schedulingv1.PriorityClass, func(*schedulingv1.PriorityClass)) error{patch, update} {
			class := s.priorityClass(t, s.ns+"-"+s.name("p"), int32(value+1))
			made[class.Name] = class
			if err := write(class, func(c *schedulingv1.PriorityClass) { c.Value *= 10 }); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "value: ") {
				t.Errorf("the value was changed: %v", err)
			}
			if err := write(class, func(c *schedulingv1.PriorityClass) { c.Description = description }); err != nil {
				t.Errorf("the description was not changed: %v", err)
			}
		}
		list, err := classes.List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) < 4 { // with the system's two
			t.Errorf("%d classes, %v", len(list.Items), err)
		}
		for name, class := range made {
			if live, err := classes.Get(t.Context(), name, metav1.GetOptions{}); err != nil || live.Value != class.Value || live.Description != description {
				t.Errorf("%s: %+v, %v", name, live, err)
			}
		}
	})
}

// taintNode taints the node, which fails where another taints it at the same time.
func (s *stage) taintNode(t testing.TB, key string, there bool) {
	t.Helper()
	nodes, name := s.client.CoreV1().Nodes(), s.node(t).Name
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		node, err := nodes.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		var taints []corev1.Taint
		for _, taint := range node.Spec.Taints {
			if taint.Key != key {
				taints = append(taints, taint)
			}
		}
		if there {
			taints = append(taints, corev1.Taint{Key: key, Value: "evictTaintVal", Effect: corev1.TaintEffectNoExecute, TimeAdded: new(metav1.Now())})
		}
		node.Spec.Taints = taints
		_, err = nodes.Update(t.Context(), node, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// leaves is a pod that leaves a node with one taint after a time, and stays whatever other
// taints there are.
func leaves(name string, key string, others []string, after int64) *corev1.Pod {
	pod := shell(name, forever)
	pod.Spec.Tolerations = []corev1.Toleration{{Key: key, Value: "evictTaintVal", Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &after}}
	for _, other := range others {
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Key: other, Operator: corev1.TolerationOpExists})
	}
	return pod
}

func (s *stage) taints(t *testing.T) {
	const cancelled, kept = "kubernetes.io/e2e-evict-cancelled", "kubernetes.io/e2e-evict-kept"
	pods := s.client.CoreV1().Pods(s.ns)
	s.conforms(t, "[sig-node] NoExecuteTaintManager Single Pod removing taint cancels eviction", func(t *testing.T) {
		pod := s.runs(t, leaves(s.name("stays"), cancelled, []string{kept}, 6))
		stays := func(when string) {
			t.Helper()
			if p, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{}); err != nil || p.UID != pod.UID || p.DeletionTimestamp != nil || p.Status.Phase != corev1.PodRunning {
				t.Fatalf("%s: %+v, %v", when, p, err)
			}
		}
		s.taintNode(t, cancelled, true)
		time.Sleep(time.Second)
		stays("within the time")
		s.taintNode(t, cancelled, false)
		time.Sleep(7 * time.Second)
		stays("after the time, without the taint")
		events, err := s.client.CoreV1().Events(s.ns).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=TaintManagerEviction,involvedObject.name=" + pod.Name})
		if err != nil || len(events.Items) != 1 || events.Items[0].Message != "Cancelling deletion of Pod "+s.ns+"/"+pod.Name {
			t.Errorf("Events %+v, %v", events.Items, err)
		}
	})
	s.conforms(t, "[sig-node] NoExecuteTaintManager Multiple Pods evicts pods with minTolerationSeconds", func(t *testing.T) {
		const first, second = 2, 6
		all := map[string]int64{}
		for _, after := range []int64{first, second} {
			all[s.runs(t, leaves(s.name("leaves"), kept, []string{cancelled}, after)).Name] = after
		}
		began := time.Now()
		s.taintNode(t, kept, true)
		gone := map[string]time.Duration{}
		eventually(t, 30*time.Second, func() error {
			for name := range all {
				if _, err := pods.Get(t.Context(), name, metav1.GetOptions{}); apierrors.IsNotFound(err) && gone[name] == 0 {
					gone[name] = time.Since(began)
				}
			}
			if len(gone) < len(all) {
				return fmt.Errorf("gone %v of %v", gone, all)
			}
			return nil
		})
		for name, after := range all {
			if gone[name] < time.Duration(after)*time.Second {
				t.Errorf("the pod that tolerates the taint for %d s was gone after %s", after, gone[name])
			}
			if after == second && slices.Min(slices.Collect(maps.Values(gone))) == gone[name] {
				t.Errorf("the pod that tolerates the taint longer was not gone after the other: %v", gone)
			}
		}
	})
}
