package onupdate

import (
	"context"
	"errors"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
)

// Config of a Runner. All fields are required unless said otherwise; the functions
// may be called concurrently.
type Config struct {
	// Container tells how a container is. known is false while that is about to
	// change or was not looked at yet: the container is being started, or its pod was
	// taken over just now.
	Container func(pod types.UID, name string) (c Container, known bool)
	// Exec runs a command in a running container. It returns an error that wraps
	// ErrTimeout, ErrTooLong or ErrUnavailable, or what the runtime says.
	Exec func(ctx context.Context, id string, command []string, timeout time.Duration) (ExecResult, error)
	// Signal sends a signal, by name, to exactly the main process of a container. It
	// returns ErrUnhandled when the process would ignore it or be ended by it.
	Signal func(ctx context.Context, id, signal string) error
	// Restart stops a container and returns when the next one runs. It is called after
	// the request was remembered, see Restarting.
	Restart func(ctx context.Context, r Restart) error
	// Fresh brings files that are mounted by subPath up to date, before the actions;
	// optional.
	Fresh func(ctx context.Context, pod *corev1.Pod, volume string)
	// Generations has, by volume, the name of the directory that ..data leads to. A
	// volume that is not mounted yet is left out.
	Generations func(pod types.UID) map[string]string
	// PodDir is the pod's directory.
	PodDir func(pod types.UID) string
	// Event records an Event about a container, or about the pod when that is empty.
	// It must not wait.
	Event func(pod *corev1.Pod, container, eventType, reason, message string)
	// Changed tells that a pod's Outcomes have changed. It must not wait; optional.
	Changed func(pod types.UID)
	// Clock is real time.
	Clock clock.Wall
	Log   *slog.Logger
}

// Container is a container as it is now.
type Container struct {
	// ID is the runtime's name of the newest one, empty when there is none.
	ID      string
	Running bool
	// Why it does not run, as the pod's status says it.
	Why string
	// Crashing says that it has crashed: it waits to be started again, or does not run
	// for long enough since.
	Crashing bool
}

// ExecResult is how a command ended.
type ExecResult struct {
	ExitCode       int32
	Stdout, Stderr []byte
}

// Restart asks for a container to be replaced by a new one.
type Restart struct {
	Pod       types.UID
	Container string
	// ID is the container to be replaced; nothing is done when it is another by now.
	ID string
	// Message says why, for the Event.
	Message string
}

var (
	// ErrTimeout is wrapped by errors about commands that took too long.
	ErrTimeout = errors.New("timeout")
	// ErrTooLong is wrapped by errors about commands that printed more than 1 MiB.
	ErrTooLong = errors.New("the output is too long")
	// ErrUnavailable is wrapped by errors about a runtime that does not answer.
	ErrUnavailable = errors.New("the container runtime does not answer")
	// ErrUnhandled says that a process does nothing with a signal.
	ErrUnhandled = errors.New("the container's main process does not handle this signal")
)
