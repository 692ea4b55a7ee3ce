package fairshare_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"laterna.dev/laterna/internal/apiserver/fairshare"
	"laterna.dev/laterna/internal/clock"
)

func newGate() *fairshare.Gate {
	return fairshare.New(fairshare.Config{Total: 100, Account: 60, Waiting: 3, Patience: 15 * time.Second, Stalled: 4 * time.Second, Clock: clock.Real()})
}

func noCut() {}

// hold lets a new request hold bytes and fails the test if it may not.
func hold(t *testing.T, g *fairshare.Gate, account string, bytes int64) *fairshare.Visit {
	t.Helper()
	v := g.Visit(account, noCut)
	if err := v.Hold(t.Context(), bytes); err != nil {
		t.Fatalf("%s, %d bytes: %v", account, bytes, err)
	}
	return v
}

// ask lets a request wait; the channel tells how it went.
func ask(t *testing.T, g *fairshare.Gate, account string, bytes int64) (*fairshare.Visit, chan error) {
	v, done := g.Visit(account, noCut), make(chan error, 1)
	go func() { done <- v.Hold(t.Context(), bytes) }()
	synctest.Wait()
	return v, done
}

func waits(t *testing.T, what string, done chan error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-done:
		t.Errorf("%s does not wait: %v", what, err)
	default:
	}
}

func passed(t *testing.T, what string, done chan error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	default:
		t.Errorf("%s waits", what)
	}
}

func TestOneAccountLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		first := hold(t, g, "greedy", 50)
		_, second := ask(t, g, "greedy", 50)
		waits(t, "the second of an account", second)
		hold(t, g, "other", 50).Leave()
		first.Leave()
		passed(t, "the second of an account", second)
		if g.Held() != 50 {
			t.Errorf("%d bytes are held", g.Held())
		}
	})
}

func TestAccountsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		a, b := hold(t, g, "x", 60), hold(t, g, "y", 40)
		v, many := ask(t, g, "many", 60)
		_, more := ask(t, g, "many", 60)
		_, few := ask(t, g, "few", 60)
		a.Leave()
		passed(t, "who came first", many)
		waits(t, "the next of the same account", more)
		waits(t, "who does not fit", few)
		b.Leave()
		v.Leave()
		passed(t, "the other account", few)
		waits(t, "the next of the same account", more)
	})
}

func TestLargeRequestIsNotOvertakenForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		small := hold(t, g, "small", 10)
		large, waiting := ask(t, g, "large", 1000)
		waits(t, "a request larger than the bound", waiting)
		_, late := ask(t, g, "late", 10)
		waits(t, "who came later", late)
		small.Leave()
		passed(t, "a request larger than the bound", waiting)
		waits(t, "who came later", late)
		large.Leave()
		passed(t, "who came later", late)
	})
}

func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		v := hold(t, g, "a", 60)
		began := time.Now()
		if err := g.Visit("a", noCut).Hold(t.Context(), 60); !errors.Is(err, fairshare.ErrBusy) || time.Since(began) != 15*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		var full []chan error
		for range 3 {
			_, done := ask(t, g, "a", 60)
			full = append(full, done)
		}
		if err := g.Visit("a", noCut).Hold(t.Context(), 60); !errors.Is(err, fairshare.ErrBusy) {
			t.Errorf("a fourth waits: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := g.Visit("b", noCut).Hold(ctx, 60); !errors.Is(err, context.Canceled) {
			t.Errorf("whose client has gone: %v", err)
		}
		v.Leave()
		passed(t, "who waited", full[0])
		time.Sleep(time.Minute)
		if g.Held() != 60 {
			t.Errorf("%d bytes are held", g.Held())
		}
	})
}

func TestStalledReaderGivesWayOnlyToWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		var cut atomic.Int32
		var v *fairshare.Visit
		v = g.Visit("slow", func() { cut.Add(1); v.Leave() })
		if err := v.Hold(t.Context(), 60); err != nil {
			t.Fatal(err)
		}
		v.Writes(time.Now())
		time.Sleep(time.Hour)
		if cut.Load() != 0 {
			t.Error("a reader was cut though nobody waited")
		}
		hold(t, g, "other", 30).Leave()
		if cut.Load() != 0 {
			t.Error("a reader was cut though there was room")
		}
		_, done := ask(t, g, "other", 60)
		time.Sleep(2 * time.Second)
		passed(t, "who waits", done)
		if cut.Load() != 1 {
			t.Errorf("cut %d times", cut.Load())
		}
	})
}

func TestReaderThatGoesOnIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		v := g.Visit("slow", func() { t.Error("cut") })
		if err := v.Hold(t.Context(), 60); err != nil {
			t.Fatal(err)
		}
		_, done := ask(t, g, "slow", 60)
		for range 5 {
			v.Writes(time.Now())
			time.Sleep(2 * time.Second)
			v.Wrote()
		}
		v.Leave()
		passed(t, "who waits", done)
	})
}

func TestWhatWasOverestimatedIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		v := hold(t, g, "a", 60)
		_, done := ask(t, g, "a", 40)
		v.Settle(20)
		passed(t, "who waits", done)
		if err := v.Hold(t.Context(), 10); err != nil || g.Held() != 60 {
			t.Errorf("%d bytes are held: %v", g.Held(), err)
		}
	})
}

// TestNothingIsHeldInTheEnd lets many requests of many accounts come and go.
func TestNothingIsHeldInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%7)*time.Second)
				defer cancel()
				v := g.Visit(fmt.Sprint(i%5), noCut)
				defer v.Leave()
				if err := v.Hold(ctx, int64(i%90)); err == nil {
					time.Sleep(time.Duration(i%3) * time.Second)
					v.Settle(int64(min(i%40, i%90)))
				}
				if g.Held() > 100 {
					t.Errorf("%d bytes are held", g.Held())
				}
			})
		}
		wg.Wait()
		if g.Held() != 0 {
			t.Errorf("%d bytes are held", g.Held())
		}
	})
}
