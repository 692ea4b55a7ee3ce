package replicaset

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// set is a ReplicaSet with that many pods to have.
func set(replicas int32) *appsv1.ReplicaSet {
	web := map[string]string{"app": "web"}
	return &appsv1.ReplicaSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "u", Generation: 3},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: web},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: web}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}},
		},
	}
}

// pod is one of the set's, running and ready for an hour.
func pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: name, UID: types.UID(name), Labels: map[string]string{"app": "web"},
			CreationTimestamp: metav1.NewTime(now.Add(-2 * time.Hour)),
			OwnerReferences:   []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: "u", Controller: new(true)}},
		},
		Spec:   corev1.PodSpec{NodeName: "n"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	readySince(time.Hour)(p)
	for _, f := range change {
		f(p)
	}
	return p
}

func readySince(d time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Add(-d))}}
	}
}

func unready(p *corev1.Pod) { p.Status.Conditions = nil }

func ending(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: now} }

func over(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }

func on(node string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.NodeName = node } }

func costs(n string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.PodDeletionCost: n} }
}

func in(phase corev1.PodPhase) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.Phase = phase }
}

func old(d time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(now.Add(-d)) }
}

func restartedTimes(n int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: n}} }
}

func sidecarRestarted(n int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "s", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}, {Name: "i"}}
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "i", RestartCount: 9}, {Name: "s", RestartCount: n}}
	}
}

func names(pods []*corev1.Pod) (all []string) {
	for _, p := range pods {
		all = append(all, p.Name)
	}
	return all
}

func TestDecide(t *testing.T) {
	many := func(n int) (all []*corev1.Pod) {
		for i := range n {
			all = append(all, pod(fmt.Sprint(i)))
		}
		return all
	}
	going := set(3)
	going.DeletionTimestamp = &metav1.Time{Time: now}
	for name, tc := range map[string]struct {
		set            *appsv1.ReplicaSet
		has            int
		create, remove int
		asked          bool // for the neighbours
	}{
		"enough":         {set: set(3), has: 3},
		"too few":        {set: set(3), has: 1, create: 2},
		"far too few":    {set: set(2_000_000_000), has: 1, create: burst},
		"too many":       {set: set(1), has: 3, remove: 2, asked: true},
		"far too many":   {set: set(1), has: burst + 3, remove: burst, asked: true},
		"all of them":    {set: set(0), has: 3, remove: 3},
		"itself is gone": {set: going, has: 1},
	} {
		t.Run(name, func(t *testing.T) {
			asked := false
			p := decide(tc.set, many(tc.has), func() map[string]int { asked = true; return nil }, now)
			if p.create != tc.create || len(p.remove) != tc.remove || asked != tc.asked {
				t.Errorf("%d to make, %d to delete, asked %v", p.create, len(p.remove), asked)
			}
		})
	}
}

func TestOrderOfDeletion(t *testing.T) {
	for name, tc := range map[string]struct{ first, second *corev1.Pod }{
		"no node":             {pod("z", on("")), pod("a", unready)},
		"pending":             {pod("z", in(corev1.PodPending)), pod("a", in(corev1.PodUnknown), unready)},
		"unknown":             {pod("z", in(corev1.PodUnknown)), pod("a", unready)},
		"not ready":           {pod("z", unready, costs("5")), pod("a", costs("-5"))},
		"cheap":               {pod("z", costs("-1")), pod("a")},
		"cheap and alone":     {pod("z", costs("-1"), on("quiet")), pod("a")},
		"a cost that is none": {pod("a", costs("+10")), pod("z", costs("008"))},
		"crowded":             {pod("z", readySince(9*time.Hour)), pod("a", on("quiet"), readySince(time.Minute))},
		"ready for less":      {pod("z", readySince(time.Minute)), pod("a", restartedTimes(3))},
		"ready for like time": {pod("a", readySince(70*time.Minute)), pod("z", readySince(69*time.Minute), restartedTimes(3))},
		"restarted":           {pod("z", restartedTimes(3)), pod("a", restartedTimes(2), old(time.Minute))},
		"sidecar restarted":   {pod("z", sidecarRestarted(3)), pod("a", sidecarRestarted(2))},
		"young":               {pod("z", old(time.Minute)), pod("a")},
		"like age":            {pod("a", old(129*time.Minute)), pod("z", old(128*time.Minute))},
		"alike":               {pod("a"), pod("z")},
	} {
		for _, pods := range [][]*corev1.Pod{{tc.first, tc.second}, {tc.second, tc.first}} {
			rank(pods, map[string]int{"n": 3, "quiet": 1}, now)
			if pods[0] != tc.first {
				t.Errorf("%s: %s goes first", name, pods[0].Name)
			}
		}
	}
}

func TestWhichPodsCount(t *testing.T) {
	theirs := pod("theirs", ending, func(p *corev1.Pod) { p.OwnerReferences = nil })
	strange := pod("strange", ending, func(p *corev1.Pod) { p.Labels = nil })
	active, terminating := split([]*corev1.Pod{pod("a"), pod("e", ending), pod("f", over), pod("fe", over, ending), theirs, strange})
	if !slices.Equal(names(active), []string{"a"}) {
		t.Errorf("active %v", names(active))
	}
	if got := names(mine(set(1), labels.SelectorFromSet(labels.Set{"app": "web"}), terminating)); !slices.Equal(got, []string{"e"}) {
		t.Errorf("terminating %v", got)
	}
}

func TestStatus(t *testing.T) {
	s := set(3)
	s.Spec.MinReadySeconds = 60
	s.Spec.Template.Labels["more"] = "yes"
	full := func(p *corev1.Pod) { p.Labels["more"] = "yes" }
	o := observed{active: []*corev1.Pod{pod("a", full), pod("b", readySince(10*time.Second)), pod("c", unready)}, terminating: []*corev1.Pod{pod("t", ending)}}
	got := status(s, o, now)
	want := appsv1.ReplicaSetStatus{Replicas: 3, FullyLabeledReplicas: 1, ReadyReplicas: 2, AvailableReplicas: 1, TerminatingReplicas: new(int32(1)), ObservedGeneration: 3}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if next := nextAvailable(s, o.active, now); next != 50*time.Second {
		t.Errorf("the next is available in %s", next)
	}
	if next := nextAvailable(s, []*corev1.Pod{pod("a"), pod("c", unready)}, now); next != 0 {
		t.Errorf("nobody waits, but for %s", next)
	}
	s.Kind = "ReplicationController"
	if got := status(s, o, now); got.TerminatingReplicas != nil {
		t.Errorf("of a ReplicationController %d end", *got.TerminatingReplicas)
	}
}

func TestFailureIsToldUntilItIsOver(t *testing.T) {
	s := set(1)
	failure := first(errors.Join(errors.New(`pods "web-1" is forbidden: exceeded quota`), errors.New("another")))
	if first(nil) != nil {
		t.Error("nothing is an error")
	}
	s.Status = status(s, observed{failure: failure}, now)
	if c := s.Status.Conditions; len(c) != 1 || c[0].Type != "ReplicaFailure" || c[0].Status != "True" || c[0].Reason != "FailedCreate" || c[0].Message != `pods "web-1" is forbidden: exceeded quota` {
		t.Fatalf("%+v", c)
	}
	s.Status = status(s, observed{failure: errors.New("later")}, now.Add(time.Hour))
	if c := s.Status.Conditions; len(c) != 1 || c[0].Message == "later" || !c[0].LastTransitionTime.Time.Equal(now) {
		t.Errorf("it changes while it lasts: %+v", c)
	}
	s.Status = status(s, observed{active: []*corev1.Pod{pod("a")}}, now)
	if len(s.Status.Conditions) != 0 {
		t.Errorf("over: %+v", s.Status.Conditions)
	}
	s.Status = status(s, observed{active: []*corev1.Pod{pod("a"), pod("b")}, failure: errors.New("x")}, now)
	if c := s.Status.Conditions; len(c) != 1 || c[0].Reason != "FailedDelete" {
		t.Errorf("too many: %+v", c)
	}
}

func TestReplicationControllersAreSets(t *testing.T) {
	c := controllerOf(set(3))
	c.Status = corev1.ReplicationControllerStatus{
		Replicas: 1, FullyLabeledReplicas: 2, ReadyReplicas: 3, AvailableReplicas: 4, ObservedGeneration: 5,
		Conditions: []corev1.ReplicationControllerCondition{{Type: "ReplicaFailure", Status: "True", Reason: "r", Message: "m", LastTransitionTime: metav1.NewTime(now)}},
	}
	s := setOf(c)
	if s.Kind != "ReplicationController" || s.APIVersion != "v1" || s.Spec.Selector.MatchLabels["app"] != "web" {
		t.Errorf("%+v", s)
	}
	if back := controllerOf(s); !reflect.DeepEqual(back, c) {
		t.Errorf("there and back: %+v", back)
	}
	if s := setOf(&corev1.ReplicationController{}); s.Spec.Template.Spec.Containers != nil {
		t.Errorf("without a template: %+v", s)
	}
}
