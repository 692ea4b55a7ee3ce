package run_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

func given(objects ...runtime.Object) env.Env {
	client := fake.NewClientset(objects...)
	return env.Env{
		Name: "test-controller", Client: client, Informers: informers.NewSharedInformerFactory(client, 0),
		Wall: clock.Real(), Log: slog.New(slog.DiscardHandler),
	}
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
}

// runs runs a loop until test returns, and waits for its end.
func runs(t *testing.T, e env.Env, l *run.Loop, test func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	e.Informers.Start(ctx.Done())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	synctest.Wait()
	test(ctx)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	e.Informers.Shutdown()
}

func TestNoWorkBeforeTheCachesAreFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := given(configMap("a"), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"}})
		l := run.New(e, "for the test")
		own := coreinformers.NewSecretInformer(e.Client, metav1.NamespaceAll, 0, nil)
		shared := e.Informers.Core().V1().ConfigMaps()
		var worked []string
		q := l.Queue(1, func(_ context.Context, key string) error {
			if !own.HasSynced() || !shared.Informer().HasSynced() {
				t.Errorf("worked on %s before the caches were filled", key)
			}
			worked = append(worked, key)
			return nil
		})
		q.Add("early")
		l.WatchOwn(own, run.Handlers(q.AddObject))
		l.Watch(shared.Informer(), run.Present(q.AddObject))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		time.Sleep(time.Minute)
		if len(worked) > 0 {
			t.Errorf("worked on %v while the shared informers have not started", worked)
		}
		e.Informers.Start(ctx.Done())
		time.Sleep(time.Second)
		if got := strings.Join(worked, " "); len(worked) != 3 || !strings.Contains(got, "early") || !strings.Contains(got, "ns/a") || !strings.Contains(got, "ns/s") {
			t.Errorf("worked on %v", worked)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		e.Informers.Shutdown()
		if !own.IsStopped() {
			t.Error("the informer of this controller alone still runs")
		}
	})
}

func TestRunReturnsWhatWentWrongInThePreparation(t *testing.T) {
	e := given()
	l := run.New(e, "for the test")
	informer := e.Informers.Core().V1().Pods().Informer()
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	informer.RunWithContext(stopped)
	l.Watch(informer, run.Handlers(func(any) {}))
	if err := l.Run(t.Context()); err == nil || l.Err() == nil || !strings.HasPrefix(err.Error(), "watching for the test: ") {
		t.Errorf("error %v", err)
	}
}

func TestWhatRunsBesideEndsWithTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := given()
		l := run.New(e, "for the test")
		began, ended := false, false
		l.Beside(func(ctx context.Context) {
			began = true
			<-ctx.Done()
			time.Sleep(time.Second)
			ended = true
		})
		runs(t, e, l, func(context.Context) {
			if !began {
				t.Error("it has not begun")
			}
		})
		if !ended {
			t.Error("the loop has not waited for it")
		}
	})
}

func TestEventsAreRecordedAsTheComponent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := given()
		l := run.New(e, "for the test")
		l.RecordAs("tester")
		q := l.Queue(1, func(context.Context, string) error {
			l.Events().Event(configMap("a"), corev1.EventTypeNormal, "Seen", "it is there")
			return nil
		})
		q.Add("a")
		runs(t, e, l, func(ctx context.Context) {
			time.Sleep(time.Second)
			all, err := e.Client.CoreV1().Events("ns").List(ctx, metav1.ListOptions{})
			if err != nil || len(all.Items) != 1 || all.Items[0].Source.Component != "tester" || all.Items[0].Message != "it is there" {
				t.Errorf("events %+v, %v", all.Items, err)
			}
		})
	})
}

func TestMetricsCountByController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := given()
		e.Metrics = env.NewMetrics()
		registry := metrics.NewKubeRegistry()
		for _, m := range e.Metrics.All() {
			registry.MustRegister(m)
		}
		l := run.New(e, "for the test")
		fail := errors.New("not yet")
		commit := run.Commits(e, func(_ context.Context, c *corev1.ConfigMap, _ metav1.UpdateOptions) (*corev1.ConfigMap, error) {
			return c, fail
		})
		var q *queue.Queue
		q = l.Queue(1, func(ctx context.Context, _ string) error {
			_, err := commit(ctx, configMap("a"), configMap("b"))
			fail = nil
			return err
		})
		q.Add("a")
		runs(t, e, l, func(ctx context.Context) {
			time.Sleep(time.Second)
			if _, err := commit(ctx, configMap("a"), configMap("a")); err != nil {
				t.Error(err)
			}
		})
		const want = `
# HELP laterna_controller_reconciles_total [ALPHA] Work of a controller on one key, by result: done, or failed and tried again after a pause
# TYPE laterna_controller_reconciles_total counter
laterna_controller_reconciles_total{controller="test-controller",result="done"} 1
laterna_controller_reconciles_total{controller="test-controller",result="failed"} 1
# HELP laterna_controller_writes_total [ALPHA] Updates that a controller has decided on, by result: written, unchanged (nothing differed, so nothing was sent) or failed
# TYPE laterna_controller_writes_total counter
laterna_controller_writes_total{controller="test-controller",result="failed"} 1
laterna_controller_writes_total{controller="test-controller",result="unchanged"} 1
laterna_controller_writes_total{controller="test-controller",result="written"} 1
`
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "laterna_controller_reconciles_total", "laterna_controller_writes_total"); err != nil {
			t.Error(err)
		}
	})
}

func TestNameOfTakesTombstones(t *testing.T) {
	for _, tc := range []struct {
		obj  any
		want string
		ok   bool
	}{
		{configMap("a"), "ns/a", true},
		{cache.DeletedFinalStateUnknown{Key: "ns/gone"}, "ns/gone", true},
		{&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, "n", true},
		{"not an object", "", false},
	} {
		if got, ok := run.NameOf(tc.obj); got.String() != tc.want || ok != tc.ok {
			t.Errorf("%v: %q, %v", tc.obj, got, ok)
		}
	}
}
