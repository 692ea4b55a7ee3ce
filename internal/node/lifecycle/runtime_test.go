package lifecycle

import (
	"testing"
	"time"

	"laterna.dev/laterna/internal/runtime/cri"
)

func TestInterruptedStart(t *testing.T) {
	cut := cri.Container{
		State: cri.ContainerExited, ExitCode: 128, Reason: "StartError",
		Message: `failed to start containerd task "b36a": context canceled: unknown`,
	}
	bad, ran, killed := cut, cut, cut
	bad.Message = `failed to create containerd task: exec: "nosuch": executable file not found in $PATH: unknown`
	ran.StartedAt = time.Unix(1, 0)
	killed.Reason = "Error"
	for name, tt := range map[string]struct {
		c    cri.Container
		want bool
	}{"cut off": {cut, true}, "bad command": {bad, false}, "ran": {ran, false}, "another reason": {killed, false}} {
		if got := Interrupted(tt.c); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestEndsAreRememberedAsFirstSeen(t *testing.T) {
	first, second := time.Unix(10, 0), time.Unix(20, 0)
	at := func(at time.Time) func(cri.Container) time.Time { return func(cri.Container) time.Time { return at } }
	r := Runtime{}.WithContainers([]cri.Container{{ID: "a", State: cri.ContainerExited}, {ID: "b", State: cri.ContainerRunning}}, at(first))
	before := r
	r = r.WithContainers([]cri.Container{{ID: "a", State: cri.ContainerExited}, {ID: "b", State: cri.ContainerUnknown}}, at(second))
	if len(r.Ended) != 2 || !r.Ended["a"].Equal(first) || !r.Ended["b"].Equal(second) {
		t.Errorf("ended %v", r.Ended)
	}
	if len(before.Ended) != 1 || before.Containers[1].State != cri.ContainerRunning {
		t.Errorf("what was known before was changed: %+v", before)
	}
	if r = r.WithContainers(nil, at(second)); len(r.Ended) != 0 {
		t.Errorf("ended %v", r.Ended)
	}
}

func TestNewest(t *testing.T) {
	r := &Runtime{Containers: []cri.Container{
		{ID: "0", Name: "a"}, {ID: "2", Name: "a", Attempt: 2}, {ID: "1", Name: "a", Attempt: 1}, {ID: "b", Name: "b", Attempt: 7},
	}}
	if c := r.Newest("a"); c == nil || c.ID != "2" {
		t.Errorf("newest %+v", c)
	}
	if c := r.Newest("c"); c != nil {
		t.Errorf("newest %+v", c)
	}
	if s := r.Sandbox(); s != nil {
		t.Errorf("sandbox %+v", s)
	}
}

func TestSurplus(t *testing.T) {
	of := func(id, name string, attempt uint32, state cri.ContainerState, sandbox string) cri.Container {
		return cri.Container{ID: id, Name: name, Attempt: attempt, State: state, SandboxID: sandbox}
	}
	for name, tt := range map[string]struct {
		r                     Runtime
		containers, sandboxes string
	}{
		"nothing":   {},
		"one of it": {r: Runtime{Sandboxes: []cri.Sandbox{{ID: "s"}}, Containers: []cri.Container{of("0", "a", 0, cri.ContainerRunning, "s")}}},
		"the one before stays": {r: Runtime{Sandboxes: []cri.Sandbox{{ID: "s"}}, Containers: []cri.Container{
			of("2", "a", 2, cri.ContainerRunning, "s"), of("1", "a", 1, cri.ContainerExited, "s"), of("0", "a", 0, cri.ContainerExited, "s"),
		}}, containers: "0"},
		"its sandbox stays too": {r: Runtime{Sandboxes: []cri.Sandbox{{ID: "t"}, {ID: "s"}, {ID: "r"}}, Containers: []cri.Container{
			of("2", "a", 2, cri.ContainerExited, "t"), of("1", "a", 1, cri.ContainerExited, "s"), of("0", "a", 0, cri.ContainerExited, "r"),
		}}, containers: "0", sandboxes: "r"},
		"an old one that runs stays": {r: Runtime{Sandboxes: []cri.Sandbox{{ID: "t"}, {ID: "s"}}, Containers: []cri.Container{
			of("5", "a", 5, cri.ContainerRunning, "t"), of("0", "a", 0, cri.ContainerRunning, "s"),
		}}},
		"the sandbox in use stays though empty": {r: Runtime{Sandboxes: []cri.Sandbox{{ID: "t"}, {ID: "s"}}}, sandboxes: "s"},
	} {
		containers, sandboxes := Surplus(&tt.r)
		var c, s string
		for i := range containers {
			c += containers[i].ID
		}
		for i := range sandboxes {
			s += sandboxes[i].ID
		}
		if c != tt.containers || s != tt.sandboxes {
			t.Errorf("%s: containers %q, sandboxes %q", name, c, s)
		}
	}
}

func TestStartedAndReadyFollowProbes(t *testing.T) {
	r := &Runtime{Probed: map[string]Probed{"starting": {}, "unready": {Started: true}, "odd": {Ready: true}, "both": {Started: true, Ready: true}}}
	for id, want := range map[string]struct{ started, ready bool }{
		"unprobed": {true, true}, "starting": {}, "unready": {started: true}, "odd": {}, "both": {true, true},
	} {
		c := &cri.Container{ID: id, State: cri.ContainerRunning}
		if r.Started(c) != want.started || r.Ready(c) != want.ready {
			t.Errorf("%s: started %t, ready %t", id, r.Started(c), r.Ready(c))
		}
		c.State = cri.ContainerExited
		if r.Started(c) || r.Ready(c) {
			t.Errorf("%s counts as started after its end", id)
		}
	}
	if r.Started(nil) || r.Ready(nil) {
		t.Error("a container that was never made counts as started")
	}
}
