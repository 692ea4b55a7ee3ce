package apiserver

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"

	"laterna.dev/laterna/internal/apiserver/fairshare"
)

// TestWatchThatNobodyStopsEndsWithItsRequest has more events than are handed on ahead:
// the library opens a watch before it finds that it has no encoding for its events, and
// leaves it.
func TestWatchThatNobodyStopsEndsWithItsRequest(t *testing.T) {
	gate := fairshare.New(fairshare.Config{Total: 1 << 20, Account: 1 << 20, Waiting: 1, Patience: time.Minute, Stalled: time.Minute, Clock: clock.RealClock{}})
	ctx, cancel := context.WithCancel(t.Context())
	source := watch.NewFakeWithChanSize(2*eventsAhead, false)
	for range 2 * eventsAhead {
		source.Add(&corev1.ConfigMap{})
	}
	w := weighEvents(ctx, source, gate.Visit("somebody", func() {}), 0).(*weighedWatch)
	for len(w.events) < eventsAhead {
		time.Sleep(time.Millisecond)
	}
	cancel()
	deadline := time.Now().Add(10 * time.Second)
	for !source.IsStopped() {
		if time.Now().After(deadline) {
			t.Fatal("it goes on")
		}
		time.Sleep(time.Millisecond)
	}
}
