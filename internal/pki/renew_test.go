package pki

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
)

// renewal is a Renewer of one certificate on a clock that the test moves.
type renewal struct {
	*Renewer
	fake  *clocktesting.FakeClock
	pair  *Pair
	calls int
	fail  error
	log   bytes.Buffer
}

func newRenewal(t *testing.T) *renewal {
	t.Helper()
	r := &renewal{fake: clocktesting.NewFakeClock(time.Now())}
	authority, err := OpenAuthority(t.TempDir(), clock.WallOf(r.fake))
	if err != nil {
		t.Fatal(err)
	}
	if r.pair, err = authority.Pair(Leaf{Name: "admin", CommonName: "admin", Client: true}); err != nil {
		t.Fatal(err)
	}
	r.Renewer = &Renewer{
		Pairs: []*Pair{r.pair}, Clock: clock.WallOf(r.fake), Log: slog.New(slog.NewTextHandler(&r.log, nil)),
		Renewed: func(*Pair) error { r.calls++; return r.fail },
	}
	return r
}

func TestRenewerRenewsBeforeTheEnd(t *testing.T) {
	r := newRenewal(t)
	first := r.pair.Certificate().Leaf
	r.renew()
	if r.calls != 0 {
		t.Error("a new certificate was renewed")
	}
	r.fake.SetTime(first.NotAfter.Add(-24 * time.Hour))
	r.renew()
	if last := r.pair.Certificate().Leaf; r.calls != 1 || !last.NotAfter.After(first.NotAfter) {
		t.Errorf("renewed %d times, ends %s after %s", r.calls, last.NotAfter, first.NotAfter)
	}
	r.renew()
	if r.calls != 1 {
		t.Error("renewed again at once")
	}
}

func TestRenewerGoesOnAfterAnError(t *testing.T) {
	r := newRenewal(t)
	r.fake.SetTime(r.pair.Certificate().Leaf.NotAfter)
	r.fail = errors.New("disk full")
	r.renew()
	if !strings.Contains(r.log.String(), "renewing a certificate failed") || !strings.Contains(r.log.String(), "disk full") {
		t.Errorf("log %q", r.log.String())
	}
	if err := os.RemoveAll(r.pair.CertFile()); err != nil {
		t.Fatal(err)
	}
	r.fail = nil
	r.fake.SetTime(r.pair.Certificate().Leaf.NotAfter)
	r.renew()
	if _, err := os.Stat(r.pair.CertFile()); err != nil {
		t.Errorf("not written again: %v", err)
	}
}

func TestRenewerLooksRegularlyUntilItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRenewal(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		for range 2 {
			r.fake.SetTime(r.pair.Certificate().Leaf.NotAfter)
			synctest.Wait()
		}
		if r.calls != 2 {
			t.Errorf("renewed %d times, want 2", r.calls)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
