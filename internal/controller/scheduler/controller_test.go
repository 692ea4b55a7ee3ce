package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
)

// cluster is a scheduler at work on a fake API.
type cluster struct {
	*testing.T
	ctx    context.Context
	client *fake.Clientset

	mu      sync.Mutex
	refuse  map[string]error // pod → what binding it answers, once
	answers int
}

// start runs a scheduler in a bubble of its own time until test returns.
func start(t *testing.T, test func(c *cluster), nodes ...runtime.Object) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset(nodes...)
		ctx, cancel := context.WithCancel(t.Context())
		c := &cluster{T: t, ctx: ctx, client: client, refuse: map[string]error{}}
		client.PrependReactor("create", "pods", c.bind)
		factory := informers.NewSharedInformerFactory(client, 0)
		s := New(env.Env{Client: client, Informers: factory, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)})
		factory.Start(ctx.Done())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		test(c)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		factory.Shutdown()
	})
}

// bind does what the API does with a binding.
func (c *cluster) bind(action clienttesting.Action) (bool, runtime.Object, error) {
	binding, ok := action.(clienttesting.CreateAction).GetObject().(*corev1.Binding)
	if !ok {
		return false, nil, nil
	}
	c.mu.Lock()
	err := c.refuse[binding.Name]
	delete(c.refuse, binding.Name)
	c.answers++
	c.mu.Unlock()
	if err != nil {
		return true, nil, err
	}
	pods := corev1.SchemeGroupVersion.WithResource("pods")
	obj, err := c.client.Tracker().Get(pods, binding.Namespace, binding.Name)
	if err != nil {
		return true, nil, err
	}
	p := obj.(*corev1.Pod).DeepCopy()
	p.Spec.NodeName = binding.Target.Name
	return true, nil, c.client.Tracker().Update(pods, p, binding.Namespace)
}

func (c *cluster) create(pods ...*corev1.Pod) {
	c.Helper()
	for _, p := range pods {
		if _, err := c.client.CoreV1().Pods("ns").Create(c.ctx, p, metav1.CreateOptions{}); err != nil {
			c.Fatal(err)
		}
	}
	synctest.Wait()
}

func (c *cluster) get(name string) *corev1.Pod {
	c.Helper()
	p, err := c.client.CoreV1().Pods("ns").Get(c.ctx, name, metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}
	return p
}

// bound returns how many pods each node has.
func (c *cluster) bound() map[string]int {
	c.Helper()
	all, err := c.client.CoreV1().Pods("ns").List(c.ctx, metav1.ListOptions{})
	if err != nil {
		c.Fatal(err)
	}
	n := map[string]int{}
	for _, p := range all.Items {
		n[p.Spec.NodeName]++
	}
	return n
}

// events waits for the recorder and returns reasons and messages.
func (c *cluster) events() string {
	c.Helper()
	time.Sleep(time.Minute)
	synctest.Wait()
	all, err := c.client.CoreV1().Events("ns").List(c.ctx, metav1.ListOptions{})
	if err != nil {
		c.Fatal(err)
	}
	var lines []string
	for _, e := range all.Items {
		lines = append(lines, fmt.Sprintf("%s %s %s %s", e.Source.Component, e.Type, e.Reason, e.Message))
	}
	return strings.Join(lines, "\n")
}

func TestPodsCreatedTogetherDoNotOverCommit(t *testing.T) {
	roomy := func(n *corev1.Node) {
		n.Status.Allocatable[corev1.ResourcePods] = list("pods", "100")[corev1.ResourcePods]
	}
	start(t, func(c *cluster) {
		var pods []*corev1.Pod
		for i := range 50 {
			pods = append(pods, pod(fmt.Sprint("p", i), list("cpu", "100m", "memory", "1Mi")))
		}
		c.create(pods...)
		if got := c.bound(); got["a"] != 20 || got["b"] != 20 || got[""] != 10 {
			t.Fatalf("two nodes with room for 20 pods each got %v", got)
		}
		// Each place that gets free is taken at once.
		for _, p := range pods {
			if c.get(p.Name).Spec.NodeName == "a" {
				if err := c.client.CoreV1().Pods("ns").Delete(c.ctx, p.Name, metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		synctest.Wait()
		if got := c.bound(); got["a"] != 20 || got[""] != 9 {
			t.Errorf("after one pod is gone: %v", got)
		}
		if _, err := c.client.CoreV1().Nodes().Create(c.ctx, node("c", roomy), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := c.bound(); got["c"] != 9 || got[""] != 0 {
			t.Errorf("after a node has come: %v", got)
		}
	}, node("a", roomy), node("b", roomy))
}

func TestAPodIsToldWhyItWaits(t *testing.T) {
	start(t, func(c *cluster) {
		c.create(pod("p", list("cpu", "3")))
		got := c.get("p").Status.Conditions
		const why = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
		if len(got) != 1 || got[0].Type != corev1.PodScheduled || got[0].Status != corev1.ConditionFalse || got[0].Reason != "Unschedulable" || got[0].Message != why {
			t.Errorf("conditions %+v", got)
		}
		if got := c.events(); got != "default-scheduler Warning FailedScheduling "+why {
			t.Errorf("events:\n%s", got)
		}
		n, err := c.client.CoreV1().Nodes().Get(c.ctx, "a", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		n.Status.Allocatable["cpu"] = list("cpu", "4")["cpu"]
		if _, err := c.client.CoreV1().Nodes().UpdateStatus(c.ctx, n, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if c.get("p").Spec.NodeName != "a" {
			t.Error("the node has grown and the pod still waits")
		}
		if got := c.events(); !strings.Contains(got, "default-scheduler Normal Scheduled Successfully assigned ns/p to a") {
			t.Errorf("events:\n%s", got)
		}
	}, node("a"))
}

func TestPodsThatAreNotOurs(t *testing.T) {
	start(t, func(c *cluster) {
		c.create(
			pod("other", nil, func(p *corev1.Pod) { p.Spec.SchedulerName = "other" }),
			pod("gated", nil, func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "g"}} }),
			pod("ending", nil, func(p *corev1.Pod) { now := metav1.Now(); p.DeletionTimestamp = &now }),
			pod("named", nil, func(p *corev1.Pod) { p.Spec.NodeName = "elsewhere" }),
		)
		if got := c.bound(); got[""] != 3 || got["elsewhere"] != 1 {
			t.Errorf("bound %v", got)
		}
		const why = `default-scheduler Warning FailedScheduling no scheduler called "other" runs in Laterna (spec.schedulerName): the pod waits until somebody binds it to a node`
		if got := c.events(); got != why {
			t.Errorf("events:\n%s\nwant one: %s", got, why)
		}
		gated := c.get("gated")
		gated.Spec.SchedulingGates = nil
		if _, err := c.client.CoreV1().Pods("ns").Update(c.ctx, gated, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if c.get("gated").Spec.NodeName != "a" {
			t.Error("a pod without its gates still waits")
		}
	}, node("a"))
}

func TestARefusedBindingIsTriedAgain(t *testing.T) {
	start(t, func(c *cluster) {
		c.refuse["p"] = errors.New("the store is away")
		c.refuse["q"] = apierrors.NewConflict(corev1.Resource("pods/binding"), "q", errors.New("stale"))
		c.create(pod("p", list("cpu", "1")), pod("q", list("cpu", "1")))
		got := c.events()
		if c.get("p").Spec.NodeName != "a" || c.get("q").Spec.NodeName != "a" {
			t.Errorf("bound %v", c.bound())
		}
		if !strings.Contains(got, "Warning FailedScheduling binding rejected: the store is away") || strings.Contains(got, "stale") {
			t.Errorf("events:\n%s", got)
		}
	}, node("a"))
}

func TestHeartbeatsWakeNobody(t *testing.T) {
	old := node("a")
	beat := old.DeepCopy()
	beat.Status.Conditions[0].LastHeartbeatTime = metav1.Now()
	if matters(old, beat) {
		t.Error("a heartbeat matters")
	}
	for name, change := range map[string]func(*corev1.Node){
		"cordoned": cordon, "tainted": taint("k", "NoSchedule"), "not ready": ready("False"),
		"labelled": func(n *corev1.Node) { n.Labels["a"] = "b" },
		"grown":    func(n *corev1.Node) { n.Status.Allocatable = list("cpu", "4") },
	} {
		if !matters(old, node("a", change)) {
			t.Errorf("%s does not matter", name)
		}
	}
}
