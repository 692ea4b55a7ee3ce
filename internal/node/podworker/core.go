package podworker

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/node/imagepull"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
)

// core is what the parts of a worker have in common.
type core struct {
	deps  *Deps
	uid   types.UID
	board *board
	// containers are what is remembered of them, by name. They belong to the goroutine of
	// Run.
	containers map[string]*containerState
}

// containerState is what a worker remembers of a container beside the runtime.
type containerState struct {
	lifecycle.Memory
	waiting *status.Waiting
	// announced is the container whose back-off was recorded.
	announced string
	// pulls are those of its image that have failed.
	pulls imagepull.Failures
	// broken is the container that was stopped since its postStart hook had failed.
	broken *hookError
	// killed is the container whose stopping was recorded.
	killed string
	// release gives up the objects that the environment waits for.
	release []func()
}

// rt is what the pod has on the runtime. It is shared: read only.
func (k *core) rt() *lifecycle.Runtime { return &k.board.snapshot().Runtime }

func (k *core) log(message string, args ...any) {
	pod := k.board.snapshot().API
	k.deps.Log.Warn(message, append([]any{"namespace", pod.Namespace, "pod", pod.Name, "uid", k.uid}, args...)...)
}

// now is the time of back-offs and deadlines.
func (k *core) now() time.Time { return k.deps.Clock.Now() }

// onClock is the agent's clock at a moment of real time.
func (k *core) onClock(wall time.Time) time.Time {
	return k.now().Add(-k.deps.Wall.Since(wall))
}

// container is what is remembered of a container.
func (k *core) container(name string) *containerState {
	c, ok := k.containers[name]
	if !ok {
		c = &containerState{}
		k.containers[name] = c
	}
	return c
}

func (k *core) releaseObjects() {
	for _, c := range k.containers {
		c.releaseObjects()
	}
}

func (c *containerState) releaseObjects() {
	for _, release := range c.release {
		release()
	}
	c.release = nil
}
