package testclock_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	baseclock "k8s.io/utils/clock"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/testclock"
)

// run starts a controller and returns once it is ready.
func run(t *testing.T, client *fake.Clientset) *clock.Clock {
	t.Helper()
	clk := clock.New(baseclock.RealClock{})
	c := testclock.New(testclock.Config{Client: client, Clock: clk, Wall: baseclock.RealClock{}, Log: slog.New(slog.DiscardHandler), Owner: true})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	for c.Ready() != nil {
		time.Sleep(time.Millisecond)
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

func TestAMalformedOffsetLeavesTheClock(t *testing.T) {
	client := fake.NewClientset()
	clk := run(t, client)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := testclock.Advance(ctx, client, time.Hour); err != nil {
		t.Fatal(err)
	}
	maps := client.CoreV1().ConfigMaps(testclock.Namespace)
	cm, err := maps.Get(ctx, testclock.Name, metav1.GetOptions{})
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
