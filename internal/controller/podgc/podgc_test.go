package podgc

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
)

func pod(name, node string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	for _, f := range change {
		f(p)
	}
	return p
}

func ending(p *corev1.Pod) { now := metav1.Now(); p.DeletionTimestamp = &now }

func held(p *corev1.Pod) { p.Finalizers = []string{"example.com/hold"} }

func over(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }

func TestReconcileNode(t *testing.T) {
	notFound := apierrors.NewNotFound(corev1.Resource("nodes"), "a")
	for _, tc := range []struct {
		name            string
		cached, live    error
		failed, removed int
		fails           bool
	}{
		{name: "there"},
		{name: "not in the cache only", cached: notFound},
		{name: "gone", cached: notFound, live: notFound, failed: 1, removed: 2},
		{name: "unsure", cached: notFound, live: apierrors.NewInternalError(context.DeadlineExceeded), fails: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			failed, removed := 0, 0
			r := reconciler{
				cached: func(string) (*corev1.Node, error) { return nil, tc.cached },
				live:   func(context.Context, string) (*corev1.Node, error) { return nil, tc.live },
				podsOf: func(string) []*corev1.Pod { return []*corev1.Pod{pod("p", "a"), pod("q", "a", over)} },
				fail: func(_ context.Context, _ *corev1.Pod, c corev1.PodCondition) error {
					if c.Type != corev1.DisruptionTarget || c.Reason != "DeletionByPodGC" {
						t.Errorf("condition %+v", c)
					}
					failed++
					return nil
				},
				remove: func(context.Context, *corev1.Pod) error { removed++; return nil },
			}
			if err := r.node(t.Context(), "a"); (err != nil) != tc.fails || failed != tc.failed || removed != tc.removed {
				t.Errorf("%d failed, %d removed, %v", failed, removed, err)
			}
		})
	}
}

func TestReconcilePod(t *testing.T) {
	for _, tc := range []struct {
		name    string
		pod     *corev1.Pod
		removed bool
	}{
		{"waiting", pod("p", ""), false},
		{"ended before it had a node", pod("p", "", ending), true},
		{"on a node", pod("p", "a", ending), false},
		{"held", pod("p", "", ending, held), false},
	} {
		removed := false
		r := reconciler{remove: func(context.Context, *corev1.Pod) error { removed = true; return nil }}
		if err := r.pod(t.Context(), tc.pod); err != nil || removed != tc.removed {
			t.Errorf("%s: removed %v, %v", tc.name, removed, err)
		}
	}
	r := reconciler{remove: func(context.Context, *corev1.Pod) error { return apierrors.NewNotFound(corev1.Resource("pods"), "p") }}
	if err := r.pod(t.Context(), pod("p", "", ending)); err != nil {
		t.Errorf("a pod that is gone: %v", err)
	}
}

func TestControllerWaitsForANodeToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
		client := fake.NewClientset(a, pod("there", "a"), pod("lost", "never-was"), pod("unbound", "", ending))
		ctx, cancel := context.WithCancel(t.Context())
		factory := informers.NewSharedInformerFactory(client, 0)
		c := New(env.Env{Client: client, Informers: factory, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)})
		factory.Start(ctx.Done())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		left := func(name string) bool {
			t.Helper()
			_, err := client.CoreV1().Pods("ns").Get(ctx, name, metav1.GetOptions{})
			return err == nil
		}
		synctest.Wait()
		if !left("unbound") {
			t.Error("a pod that may go by itself is deleted at once")
		}
		time.Sleep(2 * settle)
		if left("unbound") || !left("lost") || !left("there") {
			t.Errorf("at first: unbound %v, lost %v, there %v", left("unbound"), left("lost"), left("there"))
		}
		if err := client.CoreV1().Nodes().Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(quarantine / 2)
		if _, err := client.CoreV1().Nodes().Create(ctx, a, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * quarantine)
		if left("lost") || !left("there") {
			t.Errorf("after a node came back: lost %v, there %v", left("lost"), left("there"))
		}
		if err := client.CoreV1().Nodes().Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * quarantine)
		if left("there") {
			t.Error("the pod of a node that is gone is left")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		factory.Shutdown()
	})
}

func TestPodIsToldThatItsNodeIsNotThere(t *testing.T) {
	notFound := apierrors.NewNotFound(corev1.Resource("nodes"), "a")
	for _, tc := range []struct {
		name         string
		pod          *corev1.Pod
		cached, live error
		told, fails  bool
	}{
		{name: "there", pod: pod("p", "a")},
		{name: "not in the cache only", pod: pod("p", "a"), cached: notFound},
		{name: "gone", pod: pod("p", "a"), cached: notFound, live: notFound, told: true},
		{name: "unsure", pod: pod("p", "a"), cached: notFound, live: apierrors.NewInternalError(context.DeadlineExceeded), fails: true},
		{name: "over", pod: pod("p", "a", over), cached: notFound, live: notFound},
		{name: "ending", pod: pod("p", "a", ending), cached: notFound, live: notFound},
	} {
		told := false
		r := reconciler{
			cached:  func(string) (*corev1.Node, error) { return nil, tc.cached },
			live:    func(context.Context, string) (*corev1.Node, error) { return nil, tc.live },
			missing: func(*corev1.Pod) { told = true },
		}
		if err := r.tell(t.Context(), tc.pod); (err != nil) != tc.fails || told != tc.told {
			t.Errorf("%s: told %v, %v", tc.name, told, err)
		}
	}
}
