package testclock_test

import (
	"context"
	"log/slog"
	"math"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/testclock"
)

// run starts a controller and returns once it is ready.
func run(t *testing.T, client *fake.Clientset) *clock.Clock {
	t.Helper()
	clk, settled := clock.New(clock.Real()), make(chan struct{})
	c := testclock.New(testclock.Config{Client: client, Clock: clk, Wall: clock.Real(), Log: slog.New(slog.DiscardHandler), Owner: true, Settled: func() { close(settled) }})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	<-settled
	if err := c.Ready(); err != nil {
		t.Error(err)
	}
	return clk
}

func TestAdvanceMovesTheClockAndSurvivesARestart(t *testing.T) {
	client := fake.NewClientset()
	clk := run(t, client)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, step := range []struct{ by, want time.Duration }{{24 * time.Hour, 24 * time.Hour}, {-25 * time.Hour, -time.Hour}} {
		got, err := testclock.Advance(ctx, client, step.by)
		if err != nil || got != step.want || clk.Offset() != step.want {
			t.Fatalf("advance by %s: %s, %v; clock at %s, want %s", step.by, got, err, clk.Offset(), step.want)
		}
	}
	if restarted := run(t, client); restarted.Offset() != -time.Hour {
		t.Errorf("after a restart the clock is at %s", restarted.Offset())
	}
}

func TestAdvanceWithoutATestClockIsNotFound(t *testing.T) {
	if _, err := testclock.Advance(t.Context(), fake.NewClientset(), time.Hour); !apierrors.IsNotFound(err) {
		t.Errorf("error %v, want NotFound", err)
	}
}

func TestTheClockStaysWithinReach(t *testing.T) {
	client := fake.NewClientset()
	clk := run(t, client)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, step := range []struct {
		by time.Duration
		ok bool
	}{{testclock.MaxOffset, true}, {1, false}, {math.MaxInt64, false}, {-testclock.MaxOffset, true}, {math.MinInt64, false}, {-testclock.MaxOffset, true}, {-1, false}} {
		before := clk.Offset()
		_, err := testclock.Advance(ctx, client, step.by)
		if ok := err == nil; ok != step.ok || !ok && clk.Offset() != before {
			t.Errorf("advance by %s from %s: %v, clock at %s", step.by, before, err, clk.Offset())
		}
	}
}

func TestAMalformedOffsetLeavesTheClock(t *testing.T) {
	client := fake.NewClientset()
	clk := run(t, client)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := testclock.Advance(ctx, client, time.Hour); err != nil {
		t.Fatal(err)
	}
	maps := client.CoreV1().ConfigMaps(testclock.Namespace)
	cm, err := maps.Get(ctx, testclock.ConfigMap, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cm.Data[testclock.Offset] = "tomorrow"
	if _, err := maps.Update(ctx, cm, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := testclock.Advance(ctx, client, time.Hour); err == nil {
		t.Error("advanced from an offset that is no duration")
	}
	if clk.Offset() != time.Hour {
		t.Errorf("clock at %s, want 1h0m0s", clk.Offset())
	}
}

// storeVersion is what a store that forgets stands at.
const storeVersion = "50954"

// forget makes client refuse watches from any version but its own, as a server
// does once the history before it is gone, and counts the refusals.
func forget(client *fake.Clientset) *atomic.Int32 {
	var refused atomic.Int32
	client.PrependReactor("list", "configmaps", func(a clienttesting.Action) (bool, runtime.Object, error) {
		obj, err := client.Tracker().List(a.GetResource(), corev1.SchemeGroupVersion.WithKind("ConfigMap"), a.GetNamespace())
		if err != nil {
			return true, nil, err
		}
		list := obj.(*corev1.ConfigMapList)
		list.ResourceVersion = storeVersion
		return true, list, nil
	})
	client.PrependWatchReactor("configmaps", func(a clienttesting.Action) (bool, watch.Interface, error) {
		if a.(clienttesting.WatchActionImpl).ListOptions.ResourceVersion == storeVersion {
			return false, nil, nil
		}
		refused.Add(1)
		w := watch.NewFakeWithChanSize(1, false)
		status := apierrors.NewResourceExpired("too old resource version").Status()
		w.Error(&status)
		return true, w, nil
	})
	return &refused
}

func TestAdvanceLongAfterTheLastOne(t *testing.T) {
	client := fake.NewClientset(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: testclock.Namespace, Name: testclock.ConfigMap, ResourceVersion: "65"},
		Data:       map[string]string{testclock.Offset: "1h0m0s", testclock.Applied: "1h0m0s"},
	})
	refused := forget(client)
	clk := run(t, client)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := testclock.Advance(ctx, client, time.Hour); err != nil || clk.Offset() != 2*time.Hour {
		t.Errorf("advance: %v; clock at %s, want 2h0m0s", err, clk.Offset())
	}
	if n := refused.Load(); n != 0 {
		t.Errorf("%d watches began at a version that the store has forgotten", n)
	}
}

func TestWatchesThatEndAreNotBegunAnewAtOnce(t *testing.T) {
	client := fake.NewClientset()
	var watches atomic.Int32
	client.PrependWatchReactor("configmaps", func(clienttesting.Action) (bool, watch.Interface, error) {
		watches.Add(1)
		w := watch.NewFake()
		w.Stop()
		return true, w, nil
	})
	run(t, client)
	time.Sleep(50 * time.Millisecond)
	if n := watches.Load(); n != 1 {
		t.Errorf("%d watches within 50 ms, want 1", n)
	}
}
