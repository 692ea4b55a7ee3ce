package onupdate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"laterna.dev/laterna/internal/volumes/publish"
)

const applied = `Normal UpdateApplied web: volume "config" was updated: `

func TestActionsRunAfterAnUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, `
- {volumes: [config], container: web, signal: HUP}
- {volumes: [config, part], container: web, exec: [/bin/reload, now], timeout: 7s}
- {volumes: [secret], container: web, restart: true}
- {volumes: [config], container: web, check: [t, $(LATERNA_CANDIDATE)]}
`)
		defer b.stop()
		b.publish("config", "g1")
		b.publish("secret", "s1")
		synctest.Wait()
		b.wants(nil) // nobody can have read the first ones
		b.publish("config", "g2")
		synctest.Wait()
		b.wants([]string{"signal web-1 SIGHUP", "exec web-1 /bin/reload now in 7s"}, applied+"signal SIGHUP succeeded", applied+"exec reload succeeded")
		b.publish("secret", "s2")
		synctest.Wait()
		b.wants([]string{`restart web web-1: Container web will be restarted: volume "secret" was updated`},
			`Normal UpdateApplied web: volume "secret" was updated: restart succeeded`)
		// A token that was renewed is an update too.
		b.Published(b.pod, publish.Publication{Volume: "config", Generation: "g3"})
		synctest.Wait()
		if calls, _ := b.took(); len(calls) != 2 {
			t.Errorf("calls %q after a token was renewed", calls)
		}
		want := Outcome{Volume: "config", Action: "exec reload", Container: "web", Time: time.Now(), Generation: "g3", Result: Succeeded}
		if got := b.result("config", false); got != want {
			t.Errorf("outcome %+v, want %+v", got, want)
		}
		if b.changes != 5 {
			t.Errorf("%d changes told, want 5", b.changes)
		}
	})
}

func TestUpdatesDuringAnActionAreOneMoreRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, `
- {volumes: [config, secret], container: web, exec: [a]}
- {volumes: [config], container: web, exec: [b]}
- {volumes: [config], container: side, exec: [c]}
`)
		defer b.stop()
		b.exec = func(ctx context.Context, id string, _ []string) (ExecResult, error) {
			if id == "web-1" {
				time.Sleep(time.Second)
			}
			return ExecResult{}, nil
		}
		for _, v := range []string{"config", "secret"} {
			b.publish(v, "first")
		}
		b.publish("config", "g0")
		time.Sleep(100 * time.Millisecond)
		for i := range 100 {
			b.publish("config", fmt.Sprint("g", i+1))
			b.publish("secret", fmt.Sprint("s", i+1))
		}
		time.Sleep(10 * time.Second)
		calls, _ := b.took()
		count := map[string]int{}
		for _, c := range calls {
			count[c]++
		}
		// b had not begun when the others came, so it runs once.
		if count["exec web-1 a in 10s"] != 2 || count["exec web-1 b in 10s"] != 1 || count["exec side-1 c in 10s"] < 2 {
			t.Errorf("runs %v", count)
		}
		if o := b.result("config", false); o.Generation != "g100" {
			t.Errorf("outcome %+v", o)
		}
	})
}

func TestEveryRuleGetsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "[{volumes: [config], container: web, exec: [a]}, {volumes: [config], container: web, exec: [b]}]")
		defer b.stop()
		b.publish("config", "first")
		i := 0
		b.exec = func(context.Context, string, []string) (ExecResult, error) {
			if i++; i < 6 {
				b.publish("config", fmt.Sprint("g", i))
			}
			return ExecResult{}, nil
		}
		b.publish("config", "g0")
		synctest.Wait()
		calls, _ := b.took()
		want := []string{"exec web-1 a in 10s", "exec web-1 b in 10s"}
		want = slices.Concat(want, want, want)
		if len(calls) < 6 || !slices.Equal(calls[:6], want) {
			t.Errorf("calls %q", calls)
		}
	})
}

func TestFailures(t *testing.T) {
	const failed = `Warning UpdateActionFailed web: volume "config" was updated, but `
	for name, c := range map[string]struct {
		result ExecResult
		err    error
		want   string
	}{
		"exit code":    {ExecResult{ExitCode: 3, Stdout: []byte("no\n"), Stderr: []byte("bad\x1b[31m line 1\r\nbad line 2\n")}, nil, failed + "exec a ended with exit code 3: bad?[31m line 1; bad line 2"},
		"only stdout":  {ExecResult{ExitCode: 1, Stdout: []byte("why\n")}, nil, failed + "exec a ended with exit code 1: why"},
		"silent":       {ExecResult{ExitCode: 1}, nil, failed + "exec a ended with exit code 1"},
		"not found":    {ExecResult{ExitCode: 127}, nil, failed + "exec a ended with exit code 127 (its program was not found or cannot be run)"},
		"timeout":      {ExecResult{}, fmt.Errorf("x: %w", ErrTimeout), failed + "exec a did not end within 10s"},
		"too much":     {ExecResult{}, ErrTooLong, failed + "exec a printed more than 1 MiB, so nobody knows how it ended"},
		"no program":   {ExecResult{}, errors.New(`exec: "a": executable file not found in $PATH`), failed + `exec a could not be run: exec: "a": executable file not found in $PATH`},
		"long":         {ExecResult{ExitCode: 1, Stderr: []byte(strings.Repeat("ä", 4000) + "end")}, nil, "…"},
		"broken UTF-8": {ExecResult{ExitCode: 1, Stderr: []byte("a\xff\xfeb")}, nil, failed + "exec a ended with exit code 1: a?b"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, "[{volumes: [config], container: web, exec: [/x/a]}]")
				defer b.stop()
				b.exec = func(context.Context, string, []string) (ExecResult, error) { return c.result, c.err }
				b.publish("config", "g1")
				b.publish("config", "g2")
				time.Sleep(2 * endSight) // of the bubble
				synctest.Wait()
				_, events := b.took()
				if len(events) != 1 || len(events[0]) > maxMessage+60 {
					t.Fatalf("events %q", events)
				}
				if name == "long" {
					if !strings.HasSuffix(events[0], "end") || !strings.Contains(events[0], ": …ä") {
						t.Errorf("event %q", events[0])
					}
				} else if events[0] != c.want {
					t.Errorf("event\n%q, want\n%q", events[0], c.want)
				}
				if o := b.result("config", false); o.Result != Failed || o.Message == "" || !strings.HasSuffix(events[0], o.Message) {
					t.Errorf("outcome %+v", o)
				}
			})
		})
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "[{volumes: [config, secret], container: web, exec: [a]}]")
		defer b.stop()
		b.exec = func(context.Context, string, []string) (ExecResult, error) {
			return ExecResult{ExitCode: 1, Stderr: []byte("hunter2")}, nil
		}
		b.publish("config", "g1")
		b.publish("config", "g2")
		synctest.Wait()
		_, events := b.took()
		if len(events) != 1 || !strings.HasSuffix(events[0], "exit code 1 (what it printed is not shown, since the volume has secrets or tokens)") {
			t.Errorf("events %q", events)
		}
		if o := b.result("config", false); strings.Contains(o.Message, "hunter2") {
			t.Errorf("outcome %+v", o)
		}
	})
}

func TestContainersThatDoNotRunNeedNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "[{volumes: [config], container: web, signal: HUP}, {volumes: [config], container: side, restart: true}]")
		defer b.stop()
		b.set("web", Container{ID: "web-1", Why: "CrashLoopBackOff", Crashing: true})
		b.set("side", Container{ID: "side-1", Why: "Completed"})
		b.publish("config", "g1")
		b.publish("config", "g2")
		synctest.Wait()
		b.wants(nil)
		if o := b.result("config", false); o.Result != Skipped || o.Message != "container side is not running (Completed), it reads the new files when it starts" {
			t.Errorf("outcome %+v", o)
		}
		// A restart is what a container that crashes waits for.
		b.set("side", Container{ID: "side-1", Why: "CrashLoopBackOff", Crashing: true})
		b.publish("config", "g3")
		synctest.Wait()
		if calls, _ := b.took(); len(calls) != 1 || !strings.HasPrefix(calls[0], "restart side side-1") {
			t.Errorf("calls %q", calls)
		}
	})
}

func TestAContainerThatIsBeingStartedIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "[{volumes: [config], container: web, signal: HUP}]")
		defer b.stop()
		delete(b.containers, "web")
		b.publish("config", "g1")
		b.publish("config", "g2")
		time.Sleep(time.Minute)
		b.wants(nil)
		b.set("web", Container{ID: "web-2", Running: true})
		time.Sleep(time.Second)
		b.wants([]string{"signal web-2 SIGHUP"}, applied+"signal SIGHUP succeeded")
	})
}

func TestSignalsThatNobodyHandles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "[{volumes: [config], container: web, signal: HUP}]")
		defer b.stop()
		began := time.Now()
		// It has just been started and installs its handler after a second.
		b.signal = func(string, string) error {
			if time.Since(began) < time.Second {
				return ErrUnhandled
			}
			return nil
		}
		b.publish("config", "g1")
		b.publish("config", "g2")
		time.Sleep(10 * time.Second)
		if _, events := b.took(); len(events) != 1 || events[0] != applied+"signal SIGHUP succeeded" {
			t.Errorf("events %q", events)
		}
		b.signal = func(string, string) error { return ErrUnhandled }
		b.publish("config", "g3")
		time.Sleep(10 * time.Second)
		if _, events := b.took(); len(events) != 1 || events[0] != `Warning UpdateActionFailed web: volume "config" was updated, but SIGHUP was not sent: the container's main process does not handle this signal` {
			t.Errorf("events %q", events)
		}
		b.signal = func(string, string) error {
			b.set("web", Container{Why: "Error"})
			return errors.New("it has ended")
		}
		b.publish("config", "g4")
		time.Sleep(10 * time.Second)
		if _, events := b.took(); len(events) != 0 || b.result("config", false).Result != Skipped {
			t.Errorf("events %q, outcome %+v", events, b.result("config", false))
		}
	})
}

func TestARuntimeThatIsRestartedIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "[{volumes: [config], container: web, exec: [a]}]")
		defer b.stop()
		tries := 0
		b.exec = func(context.Context, string, []string) (ExecResult, error) {
			if tries++; tries < 5 {
				return ExecResult{}, fmt.Errorf("x: %w", ErrUnavailable)
			}
			return ExecResult{}, nil
		}
		b.publish("config", "g1")
		b.publish("config", "g2")
		time.Sleep(time.Minute)
		if o := b.result("config", false); tries != 5 || o.Result != Succeeded {
			t.Errorf("%d tries, outcome %+v", tries, o)
		}
	})
}

func TestAStormOfUpdatesIsNotAStormOfEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "[{volumes: [config], container: web, exec: [a]}]")
		defer b.stop()
		b.publish("config", "first")
		for i := range 1000 {
			b.publish("config", fmt.Sprint("g", i))
			time.Sleep(time.Second)
		}
		calls, events := b.took()
		if len(calls) != 1000 || len(events) != burst+1000/300 {
			t.Errorf("%d runs, %d events", len(calls), len(events))
		}
	})
}

func TestFreshComesBeforeTheActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "[{volumes: [config], container: web, exec: [a]}]")
		defer b.stop()
		b.fresh = func(volume string) {
			b.call("fresh %s", volume)
			time.Sleep(time.Second)
			b.call("done")
		}
		b.publish("config", "g1")
		b.publish("config", "g2")
		b.publish("secret", "s1")
		b.publish("secret", "s2") // nobody's, but its subPaths follow too
		time.Sleep(time.Minute)
		calls, _ := b.took()
		at := slices.Index(calls, "exec web-1 a in 10s")
		if at < 2 || !slices.Contains(calls[:at], "fresh config") || !slices.Contains(calls[:at], "done") || !slices.Contains(calls, "fresh secret") {
			t.Errorf("calls %q", calls)
		}
	})
}
