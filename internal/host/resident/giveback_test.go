package resident

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
)

func TestMemoryIsReturnedOnceItIsQuiet(t *testing.T) {
	const mib = 1 << 20
	k := keeper{}
	for i, step := range []struct {
		held, allocated uint64
		due             bool
	}{
		{30 * mib, 0, false},
		{31 * mib, 1 * mib, false},     // idle
		{500 * mib, 900 * mib, false},  // busy
		{500 * mib, 1900 * mib, false}, // still
		{500 * mib, 1901 * mib, true},
	} {
		if got := k.due(figures{step.held, step.allocated}); got != step.due {
			t.Errorf("step %d: %t", i, got)
		}
	}
	k.released(figures{400 * mib, 1902 * mib}) // it was needed
	if k.due(figures{420 * mib, 1903 * mib}) || k.due(figures{500 * mib, 1904 * mib}) {
		t.Error("asked again for what is in use")
	}
	if k.due(figures{100 * mib, 1905 * mib}) || !k.due(figures{200 * mib, 1906 * mib}) {
		t.Error("what became free by itself does not count")
	}
}

func TestBurstLeavesNothingResident(t *testing.T) {
	c := testingclock.NewFakeClock(time.Unix(0, 0))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { GiveBack(ctx, clock.WallOf(c)); close(ended) }()
	step := func() {
		for !c.HasWaiters() {
			runtime.Gosched()
		}
		c.Step(lookInterval)
	}
	step()
	garbage := make([][]byte, 0, 400)
	for range cap(garbage) {
		garbage = append(garbage, []byte(strings.Repeat("garbage", 1<<16)))
	}
	before := resident(t, "VmRSS:")
	runtime.KeepAlive(garbage)
	deadline := time.Now().Add(20 * time.Second)
	for resident(t, "VmRSS:") > before-100<<10 {
		if time.Now().After(deadline) {
			t.Fatalf("%d kB were resident, then %d kB", before, resident(t, "VmRSS:"))
		}
		step()
	}
	cancel()
	<-ended
}
