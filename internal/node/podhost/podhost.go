package podhost

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/logs"
	"laterna.dev/laterna/internal/node/podapi"
	"laterna.dev/laterna/internal/node/podworker"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/wait"
)

// Host is the pods of a node as its HTTPS endpoint sees them. All fields are required.
type Host struct {
	// Workers are those of all pods of the node, in no order.
	Workers func() []*podworker.Worker
	// Runtime is what the pods run on.
	Runtime func() *cri.Client
	// Logs is the directory of all pod logs.
	Logs *os.Root
	// Clock is real time.
	Clock clock.Wall
}

var _ podapi.Host = Host{}

// Pods implements podapi.Host: the statuses are the newest, also where the API does
// not have them yet.
func (h Host) Pods() []*corev1.Pod {
	var out []*corev1.Pod
	for _, w := range h.Workers() {
		if now := w.Snapshot(); !now.Gone {
			out = append(out, now.Reported())
		}
	}
	return out
}

// find returns the worker of a pod by name, and the pod.
func (h Host) find(c podapi.Container) (*podworker.Worker, *podworker.Snapshot, error) {
	for _, w := range h.Workers() {
		now := w.Snapshot()
		if now.API.Namespace == c.Namespace && now.API.Name == c.Pod && (c.UID == "" || c.UID == now.API.UID) && !now.Gone {
			return w, now, nil
		}
	}
	return nil, nil, &podapi.Problem{Code: http.StatusNotFound, Message: fmt.Sprintf("pod %q does not exist", c.Pod)}
}

// Waits for a pod that was taken over and whose containers are not known yet.
const (
	unseenPoll = 10 * time.Millisecond
	unseenMost = 5 * time.Second
)

// running is the ID of a container that streams can be opened to, and its pod. After a start
// it waits for a moment until it is known what runs.
func (h Host) running(ctx context.Context, c podapi.Container) (string, *corev1.Pod, error) {
	for end := h.Clock.Now().Add(unseenMost); ; {
		_, now, err := h.find(c)
		if err != nil {
			return "", nil, err
		}
		if newest := now.Runtime.Newest(c.Name); newest != nil && newest.State == cri.ContainerRunning {
			return newest.ID, now.API, nil
		}
		if !now.Unseen() || h.Clock.Now().After(end) || !wait.Pause(ctx, h.Clock, unseenPoll) {
			return "", nil, &podapi.Problem{Code: http.StatusNotFound, Message: fmt.Sprintf("container not found (%q)", c.Name)}
		}
	}
}

// ExecURL implements podapi.Host.
func (h Host) ExecURL(ctx context.Context, c podapi.Container, command []string, s cri.Streams) (string, error) {
	id, _, err := h.running(ctx, c)
	if err != nil {
		return "", err
	}
	return h.Runtime().ExecURL(ctx, id, command, s)
}

// AttachURL implements podapi.Host. The streams must fit how the container was made.
func (h Host) AttachURL(ctx context.Context, c podapi.Container, s cri.Streams) (string, error) {
	id, pod, err := h.running(ctx, c)
	if err != nil {
		return "", err
	}
	if k := lifecycle.Find(&pod.Spec, c.Name); k != nil {
		s.TTY = k.TTY
	}
	return h.Runtime().AttachURL(ctx, id, s)
}

// Network implements podapi.Host. A runtime that does not tell where the pod's network
// is forwards itself.
func (h Host) Network(ctx context.Context, c podapi.Container, ports []uint16) (podapi.Network, error) {
	_, now, err := h.find(c)
	if err != nil {
		return podapi.Network{}, err
	}
	sandbox := now.Runtime.Sandbox()
	if sandbox == nil || sandbox.State != cri.SandboxReady {
		return podapi.Network{}, &podapi.Problem{Code: http.StatusInternalServerError, Message: fmt.Sprintf("pod %q is not running", c.Pod)}
	}
	path, ok, err := h.Runtime().SandboxNetwork(ctx, sandbox.ID)
	if err != nil || ok {
		return podapi.Network{Namespace: path}, err
	}
	numbers := make([]int32, 0, len(ports))
	for _, p := range ports {
		numbers = append(numbers, int32(p))
	}
	url, err := h.Runtime().PortForwardURL(ctx, sandbox.ID, numbers)
	return podapi.Network{URL: url}, err
}

// Log implements podapi.Host.
func (h Host) Log(c podapi.Container, previous bool) (logs.Source, error) {
	w, now, err := h.find(c)
	if err != nil {
		return logs.Source{}, err
	}
	refuse := func(code int, format string, args ...any) (logs.Source, error) {
		return logs.Source{}, &podapi.Problem{Code: code, Message: fmt.Sprintf(format, args...)}
	}
	if lifecycle.Find(&now.API.Spec, c.Name) == nil {
		return refuse(http.StatusNotFound, "container %q not found in pod %q", c.Name, c.Pod)
	}
	attempts := lifecycle.Attempts(now.Runtime.Containers, c.Name)
	// A container that was made and has not started has no log yet.
	if len(attempts) > 0 && attempts[0].State == cri.ContainerCreated {
		attempts = attempts[1:]
	}
	// In a back-off the container that has ended is the previous one already.
	reason, waits := now.Waiting(c.Name)
	if previous && !(waits && len(attempts) > 0 && attempts[0].State == cri.ContainerExited) {
		if len(attempts) < 2 {
			return refuse(http.StatusBadRequest, "previous terminated container %q in pod %q not found", c.Name, c.Pod)
		}
		attempts = attempts[1:]
	}
	if len(attempts) == 0 {
		return refuse(http.StatusBadRequest, "container %q in pod %q is waiting to start: %s", c.Name, c.Pod, reason)
	}
	id := attempts[0].ID
	return logs.Source{
		Root: h.Logs, Path: runspec.ContainerLog(now.API, c.Name, attempts[0].Attempt), Clock: h.Clock,
		Running: func() bool {
			return slices.ContainsFunc(w.Snapshot().Running(), func(k cri.Container) bool { return k.ID == id })
		},
	}, nil
}
