package onupdate

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const twoActions = "[{volumes: [config], container: web, exec: [a]}, {volumes: [config, secret], container: web, exec: [b]}]"

// again starts a new Runner that takes the pod over, as after the end of the agent.
func (b *bench) again() {
	b.stop()
	b.start()
	b.Adopt(b.pod)
	b.VolumesChanged(b.pod.UID)
}

func TestAnAgentThatWasKilledMakesUpForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoActions)
		defer func() { b.stop() }()
		b.publish("config", "g1")
		b.publish("secret", "s1")
		synctest.Wait()
		b.again()
		synctest.Wait()
		b.wants(nil) // nothing was updated

		// It ends between the swap and the actions.
		b.stop()
		b.mu.Lock()
		b.published["config"] = "g2"
		b.mu.Unlock()
		b.start()
		b.Adopt(b.pod)
		b.VolumesChanged(b.pod.UID)
		synctest.Wait()
		want := []string{"exec web-1 a in 10s", "exec web-1 b in 10s"}
		b.wants(want, applied+"exec a succeeded", applied+"exec b succeeded")
		b.again()
		synctest.Wait()
		b.wants(nil) // they have run

		// It ends between the first and the second.
		b.exec = func(ctx context.Context, _ string, command []string) (ExecResult, error) {
			if command[0] == "b" {
				<-ctx.Done()
				return ExecResult{}, ctx.Err()
			}
			return ExecResult{}, nil
		}
		b.publish("config", "g3")
		synctest.Wait()
		b.wants(want, applied+"exec a succeeded")
		b.stop()
		b.exec = func(context.Context, string, []string) (ExecResult, error) { return ExecResult{}, nil }
		b.again()
		synctest.Wait()
		b.wants(want[1:], applied+"exec b succeeded")
		if o := b.result("config", false); o.Result != Succeeded || o.Generation != "g3" || len(b.Outcomes(b.pod.UID)) != 2 {
			t.Errorf("outcomes %+v", b.Outcomes(b.pod.UID))
		}
	})
}

func TestARestartHappensAlsoWhenTheAgentIsKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "[{volumes: [config], container: web, restart: true}]")
		defer func() { b.stop() }()
		b.publish("config", "g1")
		b.restart = func(ctx context.Context, _ Restart) error {
			<-ctx.Done() // killed before the container was stopped
			return ctx.Err()
		}
		b.publish("config", "g2")
		synctest.Wait()
		b.took()
		b.again()
		synctest.Wait()
		b.wants(nil) // it is the worker's by now
		if got := b.Restarting(b.pod.UID); len(got) != 1 || got["web"] != "web-1" {
			t.Errorf("restarting %v", got)
		}
	})
}

func TestRulesThatCameLaterAreRememberedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "[]")
		b.pod.Annotations = nil
		defer func() { b.stop() }()
		b.publish("config", "g1")
		b.again() // an agent that finds no memory
		b.annotate(twoActions)
		b.Sync(b.pod)
		synctest.Wait()
		b.wants(nil)
		b.stop()
		b.mu.Lock()
		b.published["config"] = "g2"
		b.mu.Unlock()
		b.again()
		synctest.Wait()
		if calls, _ := b.took(); len(calls) != 2 {
			t.Errorf("calls %q", calls)
		}
	})
}

func TestVolumesThatAreMountedLaterCatchUpLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoActions)
		defer func() { b.stop() }()
		b.publish("config", "g1")
		b.publish("secret", "s1")
		synctest.Wait()
		b.stop()
		later := b.published
		b.published = map[string]string{}
		b.start()
		b.Adopt(b.pod)
		b.VolumesChanged(b.pod.UID)
		synctest.Wait()
		b.wants(nil)
		b.mu.Lock()
		later["secret"] = "s2"
		b.published = later
		b.mu.Unlock()
		b.VolumesChanged(b.pod.UID)
		b.VolumesChanged(b.pod.UID)
		synctest.Wait()
		b.wants([]string{"exec web-1 b in 10s"}, `Normal UpdateApplied web: volume "secret" was updated: exec b succeeded`)
	})
}

func TestMemoryIsSmallPrivateAndReplaceable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoActions)
		defer func() { b.stop() }()
		b.publish("config", "g1")
		b.publish("config", "g2")
		synctest.Wait()
		b.took()
		file := filepath.Join(b.dir, memoryFile)
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 || info.Size() > 1000 {
			t.Errorf("memory: %v, %v", info, err)
		}
		// What somebody else made of it is no more than forgotten.
		for _, broken := range []string{"{", `{"volumes": 3}`, ""} {
			if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
				t.Fatal(err)
			}
			b.again()
			synctest.Wait()
			if calls, _ := b.took(); len(calls) != 0 {
				t.Errorf("%q: calls %q", broken, calls)
			}
		}
		os.RemoveAll(b.dir)
		b.publish("config", "g3")
		synctest.Wait()
		if _, err := os.Stat(b.dir); !os.IsNotExist(err) {
			t.Errorf("the pod's directory was made again: %v", err)
		}
	})
}

func TestForgetEndsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoActions)
		defer func() { b.stop() }()
		b.exec = func(ctx context.Context, _ string, _ []string) (ExecResult, error) {
			<-ctx.Done()
			return ExecResult{}, ctx.Err()
		}
		b.publish("config", "g1")
		b.publish("config", "g2")
		synctest.Wait()
		b.Forget(b.pod.UID)
		b.Forget(b.pod.UID)
		calls, events := b.took()
		if !slices.Equal(calls, []string{"exec web-1 a in 10s"}) || len(events) != 0 || b.Outcomes(b.pod.UID) != nil {
			t.Errorf("calls %q, events %q", calls, events)
		}
		time.Sleep(time.Minute)
	})
}

func TestShorten(t *testing.T) {
	for _, text := range []string{strings.Repeat("a", 2000), strings.Repeat("ä", 2000), "a" + strings.Repeat("€", 2000)} {
		got := shorten(text)
		if len(got) > maxMessage || !strings.HasSuffix(got, "…") || !strings.HasPrefix(text, strings.TrimSuffix(got, "…")) {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	}
}
