package node

import (
	"context"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/logs"
	"laterna.dev/laterna/internal/node/podapi"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
)

// host is the agent as its HTTPS endpoint sees it.
type host struct{ a *Agent }

var _ podapi.Host = host{}

func (a *Agent) servePodAPI(ctx context.Context) error {
	return podapi.New(podapi.Config{
		NodeName: a.cfg.NodeName, Host: host{a}, Client: a.cfg.Client,
		TLS: a.cfg.PodAPI.TLS, ClientCAs: a.cfg.PodAPI.ClientCAs, Clock: a.cfg.Wall, Log: a.cfg.Log,
	}).Serve(ctx, a.cfg.PodAPI.Listener)
}

// Pods implements podapi.Host: the statuses are the newest, also where the API does
// not have them yet.
func (h host) Pods() []*corev1.Pod {
	h.a.mu.Lock()
	defer h.a.mu.Unlock()
	var out []*corev1.Pod
	for _, w := range h.a.workers {
		w.mu.Lock()
		if !w.gone {
			pod := *w.pod
			if w.reported != nil {
				pod.Status = *w.reported
			}
			out = append(out, &pod)
		}
		w.mu.Unlock()
	}
	return out
}

// find returns the worker of a pod by name.
func (h host) find(c podapi.Container) (*worker, *corev1.Pod, error) {
	h.a.mu.Lock()
	defer h.a.mu.Unlock()
	for _, w := range h.a.workers {
		pod := w.current()
		if pod.Namespace == c.Namespace && pod.Name == c.Pod && (c.UID == "" || c.UID == pod.UID) && !w.isGone() {
			return w, pod, nil
		}
	}
	return nil, nil, &podapi.Problem{Code: http.StatusNotFound, Message: fmt.Sprintf("pod %q does not exist", c.Pod)}
}

func (w *worker) isGone() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gone
}

// running is the ID of a container that streams can be opened to.
func (h host) running(c podapi.Container) (string, error) {
	w, _, err := h.find(c)
	if err != nil {
		return "", err
	}
	if attempts := status.Attempts(w.viewed(), c.Name); len(attempts) > 0 && attempts[0].State == cri.ContainerRunning {
		return attempts[0].ID, nil
	}
	return "", &podapi.Problem{Code: http.StatusNotFound, Message: fmt.Sprintf("container not found (%q)", c.Name)}
}

// ExecURL implements podapi.Host.
func (h host) ExecURL(ctx context.Context, c podapi.Container, command []string, s cri.Streams) (string, error) {
	id, err := h.running(c)
	if err != nil {
		return "", err
	}
	return h.a.cri().ExecURL(ctx, id, command, s)
}

// AttachURL implements podapi.Host. The streams must fit how the container was made.
func (h host) AttachURL(ctx context.Context, c podapi.Container, s cri.Streams) (string, error) {
	id, err := h.running(c)
	if err != nil {
		return "", err
	}
	_, pod, err := h.find(c)
	if err != nil {
		return "", err
	}
	if k := lifecycle.Find(&pod.Spec, c.Name); k != nil {
		s.TTY = k.TTY
	}
	return h.a.cri().AttachURL(ctx, id, s)
}

// Log implements podapi.Host.
func (h host) Log(c podapi.Container, previous bool) (logs.Source, error) {
	w, pod, err := h.find(c)
	if err != nil {
		return logs.Source{}, err
	}
	refuse := func(code int, format string, args ...any) (logs.Source, error) {
		return logs.Source{}, &podapi.Problem{Code: code, Message: fmt.Sprintf(format, args...)}
	}
	if lifecycle.Find(&pod.Spec, c.Name) == nil {
		return refuse(http.StatusNotFound, "container %q not found in pod %q", c.Name, c.Pod)
	}
	attempts := status.Attempts(w.viewed(), c.Name)
	// A container that was made and has not started has no log yet.
	if len(attempts) > 0 && attempts[0].State == cri.ContainerCreated {
		attempts = attempts[1:]
	}
	// In a back-off the container that has ended is the previous one already.
	_, waits := w.waitingReason(c.Name)
	if previous && !(waits && len(attempts) > 0 && attempts[0].State == cri.ContainerExited) {
		if len(attempts) < 2 {
			return refuse(http.StatusBadRequest, "previous terminated container %q in pod %q not found", c.Name, c.Pod)
		}
		attempts = attempts[1:]
	}
	if len(attempts) == 0 {
		reason, _ := w.waitingReason(c.Name)
		return refuse(http.StatusBadRequest, "container %q in pod %q is waiting to start: %s", c.Name, c.Pod, reason)
	}
	id := attempts[0].ID
	return logs.Source{
		Root: h.a.logs, Path: containerLog(pod, c.Name, attempts[0].Attempt), Clock: h.a.cfg.Wall,
		Running: func() bool {
			for _, k := range w.viewed() {
				if k.ID == id {
					return k.State == cri.ContainerRunning
				}
			}
			return false
		},
	}, nil
}

// waitingReason is why a container does not run, as the pod's status says it, in the
// words of log requests; waits is whether it is waiting at all.
func (w *worker) waitingReason(container string) (reason string, waits bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reported == nil {
		return status.ContainerCreating, true
	}
	for _, s := range w.reported.ContainerStatuses {
		if s.Name != container || s.State.Waiting == nil {
			continue
		}
		switch s.State.Waiting.Reason {
		case status.ErrImagePull:
			return "image can't be pulled", true
		case status.ImagePullBackOff:
			return "trying and failing to pull image", true
		}
		return s.State.Waiting.Reason, true
	}
	return status.ContainerCreating, false
}
