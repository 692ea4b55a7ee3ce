package compat

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// TestConformanceStatefulSets tries what upstream asks of sets whose pods run: a pod is
// ready while a file is there, which the tests remove and bring back.
func TestConformanceStatefulSets(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] Scaling should happen in predictable order and halt if any stateful pod is unhealthy", s.scalesInOrder)
	s.conforms(t, "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] Burst scaling should run to completion even with unhealthy pods", s.bursts)
	s.conforms(t, "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] Should recreate evicted statefulset", s.recreates)
	s.conforms(t, "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should perform canary updates and phased rolling updates of template modifications", s.canary)
	s.conforms(t, "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should perform rolling updates and roll backs of template modifications", s.rollsAndRollsBack)
}

const (
	oldImage = "busybox:1.28"
	newImage = "busybox"
)

// statefulSet creates a set whose pods are ready at once, until the test says otherwise.
func (s *stage) statefulSet(t testing.TB, name string, replicas int32, change ...func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
	t.Helper()
	pod := shell("", "touch /tmp/ready; trap exit TERM; while :; do sleep 0.05; done")
	pod.Spec.RestartPolicy, pod.Spec.TerminationGracePeriodSeconds = "", nil
	pod.Spec.Containers[0].ReadinessProbe = everySecond(execProbe("test", "-e", "/tmp/ready"))
	pod.Spec.Containers[0].ReadinessProbe.FailureThreshold = 1
	labels := map[string]string{"set": name}
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, ServiceName: "test", Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod.Spec},
		},
	}
	for _, f := range change {
		f(set)
	}
	made, err := s.client.AppsV1().StatefulSets(s.ns).Create(t.Context(), set, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		background := metav1.DeletePropagationBackground
		_ = s.client.AppsV1().StatefulSets(s.ns).Delete(context.Background(), name, metav1.DeleteOptions{PropagationPolicy: &background})
		_ = s.client.CoreV1().Pods(s.ns).DeleteCollection(context.Background(), *metav1.NewDeleteOptions(0), metav1.ListOptions{LabelSelector: "set=" + name})
	})
	return made
}

// set waits until a set is as wanted, and returns it.
func (s *stage) set(t testing.TB, name string, wanted func(*appsv1.StatefulSet) bool) (set *appsv1.StatefulSet) {
	t.Helper()
	eventually(t, stepTimeout, func() (err error) {
		if set, err = s.client.AppsV1().StatefulSets(s.ns).Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			return err
		}
		if set.Status.ObservedGeneration != set.Generation || !wanted(set) {
			return fmt.Errorf("generation %d, %+v", set.Generation, set.Status)
		}
		return nil
	})
	return set
}

// have waits until a set has some pods, as many of them ready.
func (s *stage) have(t testing.TB, name string, replicas, ready int32) *appsv1.StatefulSet {
	t.Helper()
	return s.set(t, name, func(set *appsv1.StatefulSet) bool {
		return set.Status.Replicas == replicas && set.Status.ReadyReplicas == ready
	})
}

// patchSet changes a set.
func (s *stage) patchSet(t testing.TB, name, patch string) {
	t.Helper()
	if _, err := s.client.AppsV1().StatefulSets(s.ns).Patch(t.Context(), name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (s *stage) scale(t testing.TB, name string, replicas int32) {
	t.Helper()
	s.patchSet(t, name, fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas))
}

func (s *stage) image(t testing.TB, name, image string) {
	t.Helper()
	s.patchSet(t, name, fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"main","image":%q}]}}}}`, image))
}

// sicken has a pod be not ready any more, heal has it be ready again.
func (s *stage) sicken(t testing.TB, pod string) { s.exec(t, s.ns, pod, "rm", "/tmp/ready") }
func (s *stage) heal(t testing.TB, pod string)   { s.exec(t, s.ns, pod, "touch", "/tmp/ready") }

// order reads from a watch which pods come, or go, until there have been some.
func (w watched) order(t testing.TB, kind watch.EventType, n int) string {
	t.Helper()
	var names []string
	for len(names) < n {
		pod := w.next(t, fmt.Sprintf("%d pods %s", n, kind), func(e watch.EventType, _ *corev1.Pod) bool { return e == kind })
		names = append(names, pod.Name)
	}
	return strings.Join(names, " ")
}

// halts is how long a set is watched that is to do nothing.
const halts = 1500 * time.Millisecond

func (s *stage) scalesInOrder(t *testing.T) {
	const name = "ordered"
	s.statefulSet(t, name, 1)
	s.have(t, name, 1, 1)
	s.sicken(t, name+"-0")
	s.have(t, name, 1, 0)
	w := s.watch(t, "set="+name)
	s.scale(t, name, 3)
	time.Sleep(halts)
	if n := s.count(t, "set="+name); n != 1 {
		t.Errorf("%d pods beside one that is not ready", n)
	}
	s.heal(t, name+"-0")
	s.have(t, name, 3, 3)
	// The first that a watch tells of is the pod that is there.
	if got := w.order(t, watch.Added, 3); got != "ordered-0 ordered-1 ordered-2" {
		t.Errorf("came as %s", got)
	}
	s.sicken(t, name+"-0")
	s.sicken(t, name+"-2")
	s.have(t, name, 3, 1)
	s.scale(t, name, 0)
	time.Sleep(halts)
	if n := s.count(t, "set="+name); n != 3 {
		t.Errorf("%d pods of 3 while the first and the last are not ready", n)
	}
	w = s.watch(t, "set="+name)
	s.heal(t, name+"-0") // the last is the only one then that is not ready, and goes
	s.have(t, name, 0, 0)
	if got := w.order(t, watch.Deleted, 3); got != "ordered-2 ordered-1 ordered-0" {
		t.Errorf("went as %s", got)
	}
}

func (s *stage) bursts(t *testing.T) {
	const name = "burst"
	s.statefulSet(t, name, 1, func(set *appsv1.StatefulSet) { set.Spec.PodManagementPolicy = appsv1.ParallelPodManagement })
	s.have(t, name, 1, 1)
	s.sicken(t, name+"-0")
	s.have(t, name, 1, 0)
	s.scale(t, name, 3)
	s.have(t, name, 3, 2)
	s.sicken(t, name+"-1")
	s.have(t, name, 3, 1)
	s.scale(t, name, 0)
	s.have(t, name, 0, 0)
}

// recreates puts a pod where the set's pod cannot be beside it.
func (s *stage) recreates(t *testing.T) {
	const port = 21017
	node := s.node(t).Name
	on := func(spec *corev1.PodSpec) {
		spec.NodeName = node
		spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "conflict", ContainerPort: port, HostPort: port}}
	}
	first := shell(s.name("first"), forever)
	on(&first.Spec)
	first = s.runs(t, first)
	var failed types.UID
	w := s.watch(t, "set=evicted")
	s.statefulSet(t, "evicted", 1, func(set *appsv1.StatefulSet) { on(&set.Spec.Template.Spec) })
	failed = w.next(t, "a pod that fails", func(_ watch.EventType, p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed }).UID
	w.next(t, "the failed pod to go", func(e watch.EventType, p *corev1.Pod) bool { return e == watch.Deleted && p.UID == failed })
	if err := s.client.CoreV1().Pods(s.ns).Delete(t.Context(), first.Name, *metav1.NewDeleteOptions(0)); err != nil {
		t.Fatal(err)
	}
	w.next(t, "another that runs", func(_ watch.EventType, p *corev1.Pod) bool {
		return p.Name == "evicted-0" && p.UID != failed && isRunning(p)
	})
}

// imagesOf are those of a set's pods, in order.
func (s *stage) imagesOf(t testing.TB, name string) string {
	t.Helper()
	list, err := s.client.CoreV1().Pods(s.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "set=" + name})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, pod := range list.Items {
		all = append(all, pod.Name[len(name)+1:]+"="+pod.Spec.Containers[0].Image)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// as is what imagesOf returns for three pods.
func as(images ...string) string {
	var all []string
	for i, image := range images {
		all = append(all, fmt.Sprint(i, "=", image))
	}
	return strings.Join(all, " ")
}

func (s *stage) canary(t *testing.T) {
	const name = "canary"
	partition := func(n int32) string {
		return fmt.Sprintf(`{"spec":{"updateStrategy":{"rollingUpdate":{"partition":%d}}}}`, n)
	}
	s.statefulSet(t, name, 3, func(set *appsv1.StatefulSet) {
		set.Spec.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{Type: appsv1.RollingUpdateStatefulSetStrategyType,
			RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: new(int32(3))}}
	})
	before := s.have(t, name, 3, 3).Status
	s.image(t, name, newImage)
	after := s.set(t, name, func(set *appsv1.StatefulSet) bool { return set.Status.UpdateRevision != before.UpdateRevision }).Status
	if after.CurrentRevision != before.CurrentRevision || s.imagesOf(t, name) != as(oldImage, oldImage, oldImage) {
		t.Errorf("beyond every pod: %+v, %s", after, s.imagesOf(t, name))
	}
	updated := func(n int32) func(*appsv1.StatefulSet) bool {
		return func(set *appsv1.StatefulSet) bool {
			return set.Status.UpdatedReplicas == n && set.Status.ReadyReplicas == 3
		}
	}
	s.patchSet(t, name, partition(2))
	s.set(t, name, updated(1))
	if got := s.imagesOf(t, name); got != as(oldImage, oldImage, newImage) {
		t.Errorf("the canary: %s", got)
	}
	// Pods that go come back as they were.
	for _, pod := range []string{"canary-0", "canary-2"} {
		if err := s.client.CoreV1().Pods(s.ns).Delete(t.Context(), pod, *metav1.NewDeleteOptions(0)); err != nil {
			t.Fatal(err)
		}
	}
	s.set(t, name, func(set *appsv1.StatefulSet) bool { return set.Status.ReadyReplicas < 3 })
	s.have(t, name, 3, 3)
	if got := s.imagesOf(t, name); got != as(oldImage, oldImage, newImage) {
		t.Errorf("after pods were deleted: %s", got)
	}
	s.patchSet(t, name, partition(1))
	s.set(t, name, updated(2))
	s.patchSet(t, name, partition(0))
	done := s.set(t, name, func(set *appsv1.StatefulSet) bool { return set.Status.CurrentRevision == set.Status.UpdateRevision }).Status
	if got := s.imagesOf(t, name); got != as(newImage, newImage, newImage) || done.CurrentRevision != after.UpdateRevision {
		t.Errorf("through: %s, %+v", got, done)
	}
}

func (s *stage) rollsAndRollsBack(t *testing.T) {
	const name = "rolling"
	s.statefulSet(t, name, 3)
	first := s.have(t, name, 3, 3).Status
	if first.CurrentRevision != first.UpdateRevision {
		t.Errorf("at first: %+v", first)
	}
	roll := func(image string, back bool) appsv1.StatefulSetStatus {
		s.sicken(t, name+"-1")
		s.have(t, name, 3, 2)
		w := s.watch(t, "set="+name)
		s.image(t, name, image)
		time.Sleep(halts / 3)
		if n := s.count(t, "set="+name); n != 3 || strings.HasSuffix(s.imagesOf(t, name), "2="+image) {
			t.Errorf("the update goes past a pod that is not ready: %s", s.imagesOf(t, name))
		}
		s.heal(t, name+"-1")
		if got := w.order(t, watch.Deleted, 3); got != "rolling-2 rolling-1 rolling-0" {
			t.Errorf("updated as %s", got)
		}
		status := s.set(t, name, func(set *appsv1.StatefulSet) bool {
			return set.Status.CurrentRevision == set.Status.UpdateRevision && set.Status.ReadyReplicas == 3
		}).Status
		if got := s.imagesOf(t, name); got != as(image, image, image) || back != (status.CurrentRevision == first.CurrentRevision) {
			t.Errorf("with %s: %s, %+v", image, got, status)
		}
		return status
	}
	roll(newImage, false)
	roll(oldImage, true)
	contains(t, s.sh(t, "kubectl rollout history -n "+s.ns+" statefulset/"+name), "2         <none>\n3         <none>")
}
