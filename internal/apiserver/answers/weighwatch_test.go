package answers

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	testingclock "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/apiserver/fairshare"
	"laterna.dev/laterna/internal/clock"
)

// TestWatchThatNobodyStopsEndsWithItsRequest has more events than are handed on ahead:
// the library opens a watch before it finds that it has no encoding for its events, and
// leaves it.
func TestWatchThatNobodyStopsEndsWithItsRequest(t *testing.T) {
	gate := fairshare.New(fairshare.Config{Total: 1 << 20, Account: 1 << 20, Waiting: 1, Patience: time.Minute, Stalled: time.Minute, Clock: clock.Real()})
	ctx, cancel := context.WithCancel(t.Context())
	source := watch.NewFakeWithChanSize(2*eventsAhead, false)
	for range 2 * eventsAhead {
		source.Add(&corev1.ConfigMap{})
	}
	w := weighEvents(ctx, source, gate.Visit("somebody", func() {}), 0, clock.Real()).(*weighedWatch)
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

// TestQuietWatchHoldsNothing selects few of many objects, and none of them changes.
func TestQuietWatchHoldsNothing(t *testing.T) {
	c := testingclock.NewFakeClock(time.Unix(0, 0))
	gate := fairshare.New(fairshare.Config{Total: 1 << 30, Account: 1 << 30, Waiting: 1, Patience: time.Minute, Stalled: time.Minute, Clock: clock.Real()})
	visit := gate.Visit("somebody", func() {})
	const objects = 1000
	if err := hold(t.Context(), visit, objects*eventBytes); err != nil || gate.Held() == 0 {
		t.Fatalf("%d held, %v", gate.Held(), err)
	}
	source := watch.NewFakeWithChanSize(1, false)
	w := weighEvents(t.Context(), source, visit, objects, clock.WallOf(c))
	source.Add(&corev1.ConfigMap{})
	<-w.ResultChan()
	deadline := time.Now().Add(10 * time.Second)
	for gate.Held() > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are held", gate.Held())
		}
		if c.HasWaiters() {
			c.Step(beginning)
		}
		time.Sleep(time.Millisecond)
	}
	source.Modify(&corev1.ConfigMap{})
	if event := <-w.ResultChan(); event.Type != watch.Modified {
		t.Errorf("then %v", event)
	}
}
