package node

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
		if got := interrupted(tt.c); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
