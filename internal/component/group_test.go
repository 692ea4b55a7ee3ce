package component_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"laterna.dev/laterna/internal/component"
)

// part records what is done to it.
type part struct {
	name              string
	journal           *journal
	initErr, startErr error
	stopErr, notReady error
}

type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(s string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, s)
}

func (p *part) Name() string                { return p.name }
func (p *part) Init(context.Context) error  { p.journal.add("init " + p.name); return p.initErr }
func (p *part) Start(context.Context) error { p.journal.add("start " + p.name); return p.startErr }
func (p *part) Stop(context.Context) error  { p.journal.add("stop " + p.name); return p.stopErr }
func (p *part) Ready() error                { return p.notReady }

func group(parts ...*part) (*component.Group, *journal) {
	j := &journal{}
	g := &component.Group{Log: slog.New(slog.DiscardHandler)}
	for _, p := range parts {
		p.journal = j
		g.Add(p)
	}
	return g, j
}

func TestStagesStartInOrderAndStopInReverse(t *testing.T) {
	g, j := group(&part{name: "a"}, &part{name: "b"})
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"init a", "start a", "init b", "start b", "stop b", "stop a"}
	if !slices.Equal(j.lines, want) {
		t.Errorf("got %q, want %q", j.lines, want)
	}
}

func TestFailedStageEndsTheStartAndIsStoppedToo(t *testing.T) {
	for _, tc := range []struct {
		name string
		bad  *part
		want string
	}{
		{"init", &part{name: "b", initErr: errors.New("no disk")}, "preparing b: no disk"},
		{"start", &part{name: "b", startErr: errors.New("port taken")}, "starting b: port taken"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, j := group(&part{name: "a"}, tc.bad, &part{name: "c"})
			err := g.Start(t.Context())
			if err == nil || err.Error() != tc.want {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
			if err := g.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(j.lines, ","); strings.Contains(got, " c") || !strings.HasSuffix(got, "stop b,stop a") {
				t.Errorf("journal %s: c must not be touched, b and a must be stopped", got)
			}
		})
	}
}

// waiter starts when its context ends, as one that waits for another component.
type waiter struct{ part }

func (w *waiter) Start(ctx context.Context) error {
	<-ctx.Done()
	return fmt.Errorf("waiting: %w", ctx.Err())
}

func TestFailedStartEndsTheStartsThatWaitForIt(t *testing.T) {
	g := &component.Group{Log: slog.New(slog.DiscardHandler)}
	j := &journal{}
	g.Add(&waiter{part{name: "server", journal: j}}, &part{name: "store", journal: j, startErr: errors.New("damaged")})
	if err := g.Start(t.Context()); err == nil || err.Error() != "starting store: damaged" {
		t.Errorf("error %v, want that of the store alone", err)
	}
}

func TestReadyNamesWhatIsMissing(t *testing.T) {
	p := &part{name: "store", notReady: errors.New("no leader yet")}
	g, _ := group(p)
	if err := g.Ready(); err == nil || err.Error() != "store: no leader yet" {
		t.Errorf("Ready() = %v", err)
	}
	p.notReady = nil
	if err := g.Ready(); err != nil {
		t.Errorf("Ready() = %v, want nil", err)
	}
}

func TestFuncReportsItsOwnEndButNotItsStop(t *testing.T) {
	g := &component.Group{Log: slog.New(slog.DiscardHandler)}
	boom := make(chan struct{})
	stopped := false
	g.Add(component.Run("loop", func(ctx context.Context) error {
		<-ctx.Done()
		stopped = true
		return ctx.Err()
	}), component.Run("bomb", func(context.Context) error {
		<-boom
		return errors.New("boom")
	}))
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(boom)
	if err := <-g.Failed(); err == nil || err.Error() != "bomb: boom" {
		t.Errorf("failure %v", err)
	}
	if err := g.Stop(t.Context()); err != nil || !stopped {
		t.Errorf("stop: %v, loop ended: %v", err, stopped)
	}
}

func TestWhatWasOpenedIsClosedHoweverFarTheStartCame(t *testing.T) {
	for _, started := range []bool{false, true} {
		g, j := group(&part{name: "server"})
		g.Opened("listener", func(context.Context) error { j.add("close listener"); return net.ErrClosed })
		g.Opened("store", func(context.Context) error { j.add("close store"); return errors.New("busy") })
		want := []string{"close store", "close listener"}
		if started {
			if err := g.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			want = append([]string{"init server", "start server", "stop server"}, want...)
		}
		if err := g.Stop(t.Context()); err == nil || err.Error() != "stopping store: busy" {
			t.Errorf("error %v, want that of the store alone", err)
		}
		if err := g.Stop(t.Context()); err != nil {
			t.Errorf("stopped again: %v", err)
		}
		if !slices.Equal(j.lines, want) {
			t.Errorf("started %v: got %q, want %q", started, j.lines, want)
		}
	}
}
