package probe

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/runtime/cri"
)

// script is a runtime in which every command is answered as the test says.
type script struct {
	mu     sync.Mutex
	ran    map[string][]time.Time // when commands were run, by their first word
	answer func(ctx context.Context, command string, n int) (cri.ExecResult, error)
}

func (s *script) ExecSync(ctx context.Context, _ string, command []string, _ time.Duration) (cri.ExecResult, error) {
	s.mu.Lock()
	n := len(s.ran[command[0]])
	s.ran[command[0]] = append(s.ran[command[0]], time.Now())
	s.mu.Unlock()
	if s.answer == nil {
		return cri.ExecResult{}, nil
	}
	return s.answer(ctx, command[0], n)
}

// times is when a command was run, in seconds since began.
func (s *script) times(command string, began time.Time) (out []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.ran[command] {
		out = append(out, int(at.Sub(began)/time.Second))
	}
	return out
}

// notes is a sink that keeps what it is told.
type notes struct {
	mu      sync.Mutex
	runs    []string
	changes int
}

func (n *notes) Ran(r Run) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.runs = append(n.runs, fmt.Sprintf("%s %d %s", r.Kind, r.Result, r.Output))
}

func (n *notes) Changed() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changes++
}

// probing runs a prober in a bubble.
func probing(t *testing.T, answer func(ctx context.Context, command string, n int) (cri.ExecResult, error), test func(p *Prober, s *script, began time.Time)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &script{ran: map[string][]time.Time{}, answer: answer}
		p := New(Config{Exec: s, Version: "1.37", Wall: clock.Real()})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { p.Run(ctx); close(done) }()
		synctest.Wait()
		test(p, s, time.Now())
		cancel()
		<-done
	})
}

func command(name string) *corev1.Probe {
	p := &corev1.Probe{TimeoutSeconds: 1, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3}
	p.Exec = &corev1.ExecAction{Command: []string{name}}
	return p
}

func container(started time.Time, spec corev1.Container) Container {
	spec.Name = "c"
	return Container{Pod: "u", ID: "id", Spec: &spec, Host: "127.0.0.1", StartedAt: started}
}

func exit(code int32) (cri.ExecResult, error) {
	return cri.ExecResult{ExitCode: code, Stdout: []byte("out "), Stderr: []byte("err")}, nil
}

func TestProbesRunAtOnceAndThenEachPeriod(t *testing.T) {
	probing(t, nil, func(p *Prober, s *script, began time.Time) {
		late := command("late")
		late.InitialDelaySeconds, late.PeriodSeconds = 7, 2
		p.Watch(container(began, corev1.Container{ReadinessProbe: command("ready"), LivenessProbe: late}), &notes{})
		time.Sleep(25 * time.Second)
		synctest.Wait()
		if got := s.times("ready", began); !slices.Equal(got, []int{0, 10, 20}) {
			t.Errorf("readiness was asked at %v s", got)
		}
		if got := s.times("late", began); !slices.Equal(got, []int{7, 9, 11, 13, 15, 17, 19, 21, 23, 25}) {
			t.Errorf("liveness was asked at %v s", got)
		}
	})
}

func TestReadinessTurnsAfterSoManyResultsInARow(t *testing.T) {
	// success, failure, success, success | failure, failure, success, failure ×3
	codes := []int32{0, 1, 0, 0, 1, 1, 0, 1, 1, 1}
	ready := []bool{false, false, false, true, true, true, true, true, true, false}
	probing(t, func(_ context.Context, _ string, n int) (cri.ExecResult, error) {
		return exit(codes[min(n, len(codes)-1)])
	}, func(p *Prober, s *script, began time.Time) {
		spec := command("ready")
		spec.SuccessThreshold = 2
		told := &notes{}
		w := p.Watch(container(began, corev1.Container{ReadinessProbe: spec}), told)
		if got := w.State(); !got.Started || got.Ready {
			t.Errorf("before the first result: %+v", got)
		}
		for i, want := range ready {
			synctest.Wait()
			if got := w.State().Ready; got != want {
				t.Errorf("after result %d: ready = %v", i, got)
			}
			time.Sleep(10 * time.Second)
		}
		synctest.Wait()
		if told.changes != 2 {
			t.Errorf("told of %d changes, want 2", told.changes)
		}
		if len(told.runs) < 6 || told.runs[0] != "Readiness 2 out err" {
			t.Errorf("told of failures %q, want each", told.runs)
		}
	})
}

func TestStartupHoldsTheOthersBack(t *testing.T) {
	answer := func(_ context.Context, name string, n int) (cri.ExecResult, error) {
		if name == "start" && n < 2 {
			return exit(1)
		}
		return exit(0)
	}
	probing(t, answer, func(p *Prober, s *script, began time.Time) {
		w := p.Watch(container(began, corev1.Container{StartupProbe: command("start"), LivenessProbe: command("live"), ReadinessProbe: command("ready")}), &notes{})
		time.Sleep(19 * time.Second)
		synctest.Wait()
		if got := w.State(); got.Started || got.Ready {
			t.Errorf("before its startup probe has passed: %+v", got)
		}
		time.Sleep(22 * time.Second)
		synctest.Wait()
		if got := w.State(); !got.Started || !got.Ready || got.Failed != nil {
			t.Errorf("after its startup probe has passed: %+v", got)
		}
		if got := s.times("start", began); !slices.Equal(got, []int{0, 10, 20}) {
			t.Errorf("startup was asked at %v s", got)
		}
		for _, k := range []string{"live", "ready"} {
			if got := s.times(k, began); !slices.Equal(got, []int{20, 30, 40}) {
				t.Errorf("%s was asked at %v s, want from the start on", k, got)
			}
		}
	})
}

func TestAFailureIsTheEndOfAContainer(t *testing.T) {
	for kind, spec := range map[Kind]corev1.Container{
		Liveness: {LivenessProbe: command("x")},
		Startup:  {StartupProbe: command("x"), LivenessProbe: command("never")},
	} {
		kind.of(&spec).TerminationGracePeriodSeconds = new(int64(4))
		probing(t, func(context.Context, string, int) (cri.ExecResult, error) { return exit(1) }, func(p *Prober, s *script, began time.Time) {
			w := p.Watch(container(began, spec), &notes{})
			time.Sleep(time.Minute)
			synctest.Wait()
			got := w.State().Failed
			if got == nil || got.Kind != kind || got.Grace == nil || *got.Grace != 4*time.Second {
				t.Errorf("%s: failed = %+v", kind, got)
			}
			if got := s.times("x", began); !slices.Equal(got, []int{0, 10, 20}) {
				t.Errorf("%s was asked at %v s, want no more after it has failed", kind, got)
			}
			if got := s.times("never", began); got != nil {
				t.Errorf("asked at %v s whether it lives, and it has not started", got)
			}
		})
	}
}

func TestWhatCannotBeAskedChangesNothing(t *testing.T) {
	answer := func(_ context.Context, _ string, n int) (cri.ExecResult, error) {
		if n < 3 {
			return exit(0)
		}
		return cri.ExecResult{}, errors.New("no such program")
	}
	probing(t, answer, func(p *Prober, s *script, began time.Time) {
		told := &notes{}
		w := p.Watch(container(began, corev1.Container{ReadinessProbe: command("ready")}), told)
		time.Sleep(45 * time.Second)
		synctest.Wait()
		if !w.State().Ready {
			t.Error("not ready, and nothing was learnt")
		}
		if got := s.times("ready", began); !slices.Equal(got, []int{0, 10, 20, 30, 30, 30, 40, 40, 40}) {
			t.Errorf("asked at %v s, want three tries", got)
		}
		if want := []string{"Readiness 3 no such program", "Readiness 3 no such program"}; !slices.Equal(told.runs, want) {
			t.Errorf("told %q", told.runs)
		}
	})
}

func TestACommandThatTakesTooLongHasFailed(t *testing.T) {
	answer := func(context.Context, string, int) (cri.ExecResult, error) {
		return cri.ExecResult{}, fmt.Errorf("running: %w", cri.ErrTimeout)
	}
	probing(t, answer, func(p *Prober, s *script, began time.Time) {
		told := &notes{}
		p.Watch(container(began, corev1.Container{LivenessProbe: command("cat")}), told)
		synctest.Wait()
		if want := []string{`Liveness 2 command timed out: "cat" timed out after 1s`}; !slices.Equal(told.runs, want) {
			t.Errorf("told %q", told.runs)
		}
	})
}

func TestContainersThatAreTakenOverStayAsTheyWere(t *testing.T) {
	probing(t, nil, func(p *Prober, s *script, began time.Time) {
		c := container(began.Add(-time.Hour), corev1.Container{
			StartupProbe: command("start"), ReadinessProbe: command("ready"), LivenessProbe: command("live"),
		})
		c.Before = &State{Started: true, Ready: true}
		told := &notes{}
		w := p.Watch(c, told)
		if got := w.State(); !got.Started || !got.Ready {
			t.Errorf("taken over as %+v", got)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s.times("start", began) != nil || told.changes != 0 {
			t.Errorf("asked whether it has started; %d changes", told.changes)
		}
		for _, k := range []string{"ready", "live"} {
			if got := s.times(k, began); len(got) == 0 {
				t.Errorf("%s was not asked within a period", k)
			}
		}
		c.Before = &State{Started: true}
		c.Spec = &corev1.Container{ReadinessProbe: command("unready")}
		began = time.Now()
		p.Watch(c, told)
		synctest.Wait()
		if got := s.times("unready", began); !slices.Equal(got, []int{0}) {
			t.Errorf("one that was not ready was asked at %v s, want at once", got)
		}
	})
}

// TestTakenOverProbesAreSpread: an agent that starts again does not ask all at once.
func TestTakenOverProbesAreSpread(t *testing.T) {
	probing(t, nil, func(p *Prober, s *script, began time.Time) {
		for range 200 {
			c := container(began.Add(-time.Hour), corev1.Container{LivenessProbe: command("live")})
			c.Before = &State{Started: true, Ready: true}
			p.Watch(c, &notes{})
		}
		time.Sleep(10*time.Second - time.Nanosecond)
		synctest.Wait()
		count := map[int]int{}
		for _, at := range s.times("live", began) {
			count[at]++
		}
		for second := range 10 {
			if n := count[second]; n < 4 || n > 50 {
				t.Errorf("%d of 200 were asked in second %d of 10", n, second)
			}
		}
	})
}

func TestContainersThatEndAreOnlyAskedForReadiness(t *testing.T) {
	probing(t, nil, func(p *Prober, s *script, began time.Time) {
		w := p.Watch(container(began, corev1.Container{ReadinessProbe: command("ready"), LivenessProbe: command("live")}), &notes{})
		time.Sleep(15 * time.Second)
		w.Ending()
		w.Ending()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		w.Stop()
		w.Stop()
		time.Sleep(time.Minute)
		if got := s.times("live", began); !slices.Equal(got, []int{0, 10}) {
			t.Errorf("liveness was asked at %v s", got)
		}
		if got := s.times("ready", began); !slices.Equal(got, []int{0, 10, 20}) {
			t.Errorf("readiness was asked at %v s", got)
		}
	})
}

func TestStopGivesUpWhatIsUnderWay(t *testing.T) {
	gone := atomic.Int32{}
	answer := func(ctx context.Context, _ string, _ int) (cri.ExecResult, error) {
		<-ctx.Done()
		gone.Add(1)
		return cri.ExecResult{}, ctx.Err()
	}
	probing(t, answer, func(p *Prober, _ *script, began time.Time) {
		told := &notes{}
		w := p.Watch(container(began, corev1.Container{LivenessProbe: command("x")}), told)
		synctest.Wait()
		w.Stop()
		synctest.Wait()
		if gone.Load() != 1 || len(told.runs)+told.changes != 0 {
			t.Errorf("%d runs given up, told %q", gone.Load(), told.runs)
		}
		time.Sleep(time.Hour)
		if len(p.waits) != 0 || len(p.flight.pods) != 0 || p.flight.flown != 0 {
			t.Errorf("%d wait, %d pods, %d are under way", len(p.waits), len(p.flight.pods), p.flight.flown)
		}
	})
}

// TestAPodThatDoesNotAnswerKeepsNobodyWaiting has more probes hang in one pod than a node
// runs at once.
func TestAPodThatDoesNotAnswerKeepsNobodyWaiting(t *testing.T) {
	answer := func(ctx context.Context, name string, _ int) (cri.ExecResult, error) {
		if name == "hangs" {
			<-ctx.Done()
		}
		return exit(0)
	}
	probing(t, answer, func(p *Prober, s *script, began time.Time) {
		var hanging []*Watch
		for range 3000 {
			c := container(began, corev1.Container{LivenessProbe: command("hangs"), ReadinessProbe: command("hangs")})
			c.Pod = "hostile"
			hanging = append(hanging, p.Watch(c, &notes{}))
		}
		w := p.Watch(container(began, corev1.Container{ReadinessProbe: command("ready")}), &notes{})
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if got := s.times("ready", began); !w.State().Ready || !slices.Equal(got, []int{0, 10}) {
			t.Errorf("another pod was asked at %v s", got)
		}
		if n := len(s.times("hangs", began)); n != maxPodFlight {
			t.Errorf("%d probes of one pod are under way, want %d", n, maxPodFlight)
		}
		for _, w := range hanging {
			w.Stop()
		}
		synctest.Wait()
		if _, known := p.flight.pods["hostile"]; known || p.flight.flown != 0 {
			t.Errorf("%d are under way after all were stopped; the pod is known: %v", p.flight.flown, known)
		}
	})
}

func TestAFullNodeGoesOnWhenThereIsRoom(t *testing.T) {
	var release chan struct{} // of the bubble
	answer := func(ctx context.Context, name string, _ int) (cri.ExecResult, error) {
		if name == "hangs" {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return exit(0)
	}
	probing(t, answer, func(p *Prober, s *script, began time.Time) {
		release = make(chan struct{})
		for pod := range maxFlight / maxPodFlight {
			for range maxPodFlight {
				c := container(began, corev1.Container{ReadinessProbe: command("hangs")})
				c.Pod = types.UID(fmt.Sprint(pod))
				p.Watch(c, &notes{})
			}
		}
		late := command("ready")
		late.InitialDelaySeconds = 1
		w := p.Watch(container(began, corev1.Container{ReadinessProbe: late}), &notes{})
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(s.times("hangs", began)); n != maxFlight || w.State().Ready {
			t.Errorf("%d are under way, want %d", n, maxFlight)
		}
		close(release)
		synctest.Wait()
		if !w.State().Ready {
			t.Error("not asked although there is room")
		}
	})
}

func TestProbesThatWaitCostNoGoroutine(t *testing.T) {
	probing(t, nil, func(p *Prober, _ *script, began time.Time) {
		before := runtime.NumGoroutine()
		for i := range 5000 {
			c := container(began, corev1.Container{ReadinessProbe: command("x"), LivenessProbe: command("x")})
			c.Pod = types.UID(fmt.Sprint(i % 100))
			p.Watch(c, &notes{})
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if now := runtime.NumGoroutine(); now > before+5 {
			t.Errorf("%d goroutines, %d before there were probes", now, before)
		}
	})
}
