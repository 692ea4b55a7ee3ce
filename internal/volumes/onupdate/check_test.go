package onupdate

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"laterna.dev/laterna/internal/volumes/publish"
)

const twoChecks = `
- {volumes: [config], container: web, check: [/bin/one, "$(LATERNA_CANDIDATE)/f"], timeout: 3s}
- {volumes: [config], container: side, check: [two, $(LATERNA_CANDIDATE), $$(LATERNA_CANDIDATE)]}
- {volumes: [config], container: web, signal: HUP}
- {volumes: [secret], container: web, check: [three, $(LATERNA_CANDIDATE)]}
`

func (b *bench) check(volume string) bool {
	return !b.Check(b.t.Context(), b.pod, publish.Candidate{Volume: volume, Dir: "..new", Confidential: volume == "secret"}).Reject
}

func TestAllChecksMustPass(t *testing.T) {
	b := newBench(t, twoChecks)
	defer b.stop()
	for volume, want := range map[string]bool{"config": true, "secret": true, "part": false, "x": false} {
		if b.Guards(b.pod, volume) != want {
			t.Errorf("volume %s is guarded: %v", volume, !want)
		}
	}
	both := []string{"exec web-1 /bin/one /etc/web/..new/f in 3s", "exec side-1 two /c/..new $(LATERNA_CANDIDATE) in 10s"}
	if !b.check("config") {
		t.Error("rejected")
	}
	b.wants(both)
	if o := b.result("config", true); o.Result != Succeeded || o.Message != "" || o.Time.IsZero() || b.changes != 1 {
		t.Errorf("outcome %+v, %d changes", o, b.changes)
	}
	b.exec = func(_ context.Context, id string, _ []string) (ExecResult, error) {
		if id == "side-1" {
			return ExecResult{ExitCode: 1, Stdout: []byte("testing\n"), Stderr: []byte("line 3: unexpected }\n")}, nil
		}
		return ExecResult{}, nil
	}
	if b.check("config") {
		t.Error("not rejected")
	}
	b.wants(both, `Warning UpdateRejected side: volume "config" keeps its files: check two ended with exit code 1: line 3: unexpected }`)
	var rejected Outcome
	for _, o := range b.Outcomes(b.pod.UID) {
		if o.Check && o.Container == "side" {
			rejected = o
		}
	}
	if rejected.Result != Rejected || !strings.HasSuffix(rejected.Message, "unexpected }") {
		t.Errorf("outcome %+v", rejected)
	}
	// The first that fails is enough.
	b.exec = func(context.Context, string, []string) (ExecResult, error) { return ExecResult{}, ErrTimeout }
	if b.check("config") {
		t.Error("not rejected")
	}
	b.wants(both[:1], `Warning UpdateRejected web: volume "config" keeps its files: check one did not end within 3s`)
}

func TestChecksThatCannotBeRunReject(t *testing.T) {
	for want, c := range map[string]struct {
		result ExecResult
		err    error
	}{
		"check one could not be run: no such program":                                            {err: errors.New("no such program")},
		"check one ended with exit code 126 (its program was not found or cannot be run)":        {result: ExecResult{ExitCode: 126}},
		"check one ended with exit code 127 (its program was not found or cannot be run): sh: x": {result: ExecResult{ExitCode: 127, Stderr: []byte("sh: x")}},
	} {
		b := newBench(t, twoChecks)
		b.exec = func(context.Context, string, []string) (ExecResult, error) { return c.result, c.err }
		if b.check("config") {
			t.Errorf("%s: not rejected", want)
		}
		if _, events := b.took(); len(events) != 1 || events[0] != `Warning UpdateRejected web: volume "config" keeps its files: `+want {
			t.Errorf("events %q", events)
		}
		b.stop()
	}
}

func TestWhatASecretsCheckPrintsIsNotShown(t *testing.T) {
	b := newBench(t, twoChecks)
	defer b.stop()
	b.exec = func(context.Context, string, []string) (ExecResult, error) {
		return ExecResult{ExitCode: 2, Stderr: []byte("hunter2")}, nil
	}
	if b.check("secret") {
		t.Error("not rejected")
	}
	b.wants([]string{"exec web-1 three /s/..new in 10s"},
		`Warning UpdateRejected web: volume "secret" keeps its files: check three ended with exit code 2 (what it printed is not shown, since the volume has secrets or tokens)`)
	if o := b.result("secret", true); strings.Contains(o.Message, "hunter2") {
		t.Errorf("outcome %+v", o)
	}
}

func TestNobodyToCheckMeansPublished(t *testing.T) {
	const unchecked = `Warning UpdateNotChecked web: volume "secret" is published without its check: `
	for want, c := range map[string]Container{
		unchecked + "container web is not running (CrashLoopBackOff)":      {ID: "web-1", Why: "CrashLoopBackOff", Crashing: true},
		unchecked + "container web is not running":                         {},
		unchecked + "container web has crashed and was restarted just now": {ID: "web-1", Running: true, Crashing: true},
	} {
		b := newBench(t, twoChecks)
		b.set("web", c)
		if !b.check("secret") {
			t.Errorf("%s: rejected", want)
		}
		b.wants(nil, want)
		if o := b.result("secret", true); o.Result != Skipped || !strings.HasSuffix(want, o.Message) {
			t.Errorf("outcome %+v", o)
		}
		b.stop()
	}
	// It ends while it checks.
	b := newBench(t, twoChecks)
	defer b.stop()
	b.exec = func(context.Context, string, []string) (ExecResult, error) {
		b.set("web", Container{ID: "web-2", Running: true})
		return ExecResult{ExitCode: 137}, nil
	}
	if !b.check("secret") {
		t.Error("rejected by a container that ended")
	}
	if _, events := b.took(); len(events) != 1 || events[0] != unchecked+"container web ended during the check" {
		t.Errorf("events %q", events)
	}
}

// The runtime knows of the end of a container before the agent does.
func TestACheckThatFailsWithItsContainerRejectsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		result ExecResult
		err    error
	}{
		"killed":  {ExecResult{ExitCode: 137}, nil},
		"not run": {ExecResult{}, errors.New("container not created: not found")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, twoChecks)
				defer b.stop()
				b.exec = func(context.Context, string, []string) (ExecResult, error) {
					time.AfterFunc(endSight/2, func() { b.set("web", Container{ID: "web-1", Why: "Completed"}) })
					return c.result, c.err
				}
				if !b.check("secret") {
					t.Error("rejected by a container that ended")
				}
				if _, events := b.took(); len(events) != 1 || !strings.HasSuffix(events[0], "container web ended during the check") {
					t.Errorf("events %q", events)
				}
			})
		})
	}
}

func TestACheckIsMadeInTheContainerThatARuleStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "[{volumes: [config], container: web, restart: true}, {volumes: [config], container: web, check: [one, $(LATERNA_CANDIDATE)]}]")
		defer b.stop()
		b.restart = func(ctx context.Context, r Restart) error { <-ctx.Done(); return ctx.Err() }
		b.publish("config", "g1")
		b.publish("config", "g2")
		synctest.Wait()
		b.took()
		b.exec = func(_ context.Context, id string, _ []string) (ExecResult, error) {
			if id == "web-2" {
				return ExecResult{ExitCode: 1, Stderr: []byte("no")}, nil
			}
			b.set("web", Container{ID: "web-1", Why: "ContainerCreating"})
			time.AfterFunc(time.Second, func() { b.set("web", Container{ID: "web-2", Running: true}) })
			return ExecResult{}, errors.New("container not created: not found")
		}
		if b.check("config") {
			t.Error("not rejected")
		}
		b.wants([]string{"exec web-1 one /etc/web/..new in 10s", "exec web-2 one /etc/web/..new in 10s"},
			`Warning UpdateRejected web: volume "config" keeps its files: check one ended with exit code 1: no`)
	})
}

func TestSubPathsCannotBeChecked(t *testing.T) {
	b := newBench(t, "[{volumes: [part], container: web, check: [a, $(LATERNA_CANDIDATE)]}]")
	defer b.stop()
	if !b.Guards(b.pod, "part") || !b.check("part") {
		t.Error("rejected")
	}
	b.wants(nil, `Warning UpdateNotChecked web: volume "part" is published without its check: container web sees it by subPath only`)
}

func TestACheckEndsWithThePod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoChecks)
		defer b.stop()
		b.exec = func(ctx context.Context, _ string, _ []string) (ExecResult, error) {
			<-ctx.Done()
			return ExecResult{}, ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if v := b.Check(ctx, b.pod, publish.Candidate{Volume: "config", Dir: "..new"}); !v.Reject {
			t.Error("published while the pod ends")
		}
		if _, events := b.took(); len(events) != 0 {
			t.Errorf("events %q", events)
		}
	})
}

func TestBadAnnotationsDoNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "- {volumes: [config], container: web, signal: HUB}")
		defer b.stop()
		for _, g := range []string{"g1", "g2", "g3"} {
			b.publish("config", g)
			if b.Guards(b.pod, "config") || !b.check("config") {
				t.Error("a bad rule guards")
			}
		}
		synctest.Wait()
		calls, events := b.took()
		const want = "Warning OnUpdateInvalid: annotation laterna.dev/on-update is not honoured: line 1, column 47: unknown signal"
		if len(calls) != 0 || len(events) != 1 || !strings.HasPrefix(events[0], want) {
			t.Errorf("calls %q, events %q", calls, events)
		}
		// Another that fits no container, by an edit, and then a good one.
		b.annotate("[{volumes: [config], container: wep, signal: HUP}]")
		b.Sync(b.pod)
		if _, events := b.took(); len(events) != 1 || !strings.Contains(events[0], `line 1, column 33: the pod has no container "wep"`) {
			t.Errorf("events %q", events)
		}
		b.annotate("[{volumes: [config], container: web, signal: HUP}]")
		b.Sync(b.pod)
		synctest.Wait()
		b.wants(nil) // from the next update on
		b.publish("config", "g4")
		synctest.Wait()
		b.wants([]string{"signal web-1 SIGHUP"}, applied+"signal SIGHUP succeeded")
		if n := len(b.Outcomes(b.pod.UID)); n != 1 {
			t.Errorf("%d outcomes", n)
		}
		b.annotate("[]")
		b.Sync(b.pod)
		if n := len(b.Outcomes(b.pod.UID)); n != 0 {
			t.Errorf("%d outcomes of rules that are gone", n)
		}
	})
}
