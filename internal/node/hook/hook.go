// Package hook runs what containers have for their beginning and their end: postStart and
// preStop hooks, by command, HTTP or sleep.
//
// It owns how one hook is carried out and the words about one that fails, which are the
// kubelet's. When a hook is run, how long it may take and what follows from its failure is
// internal/node/podworker's; requests are made as those of internal/node/probe.
package hook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/probe"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/wait"
)

// unlimited is how long a command may run. A hook has no time of its own: its container's
// end, or the caller, ends it.
const unlimited = 365 * 24 * time.Hour

// Config is what a runner needs.
type Config struct {
	// Exec runs commands in containers.
	Exec probe.Exec
	// Version is the API's, such as "1.37"; servers are told it.
	Version string
	// Wall is what sleep hooks sleep by.
	Wall clock.Wall
}

// Runner runs hooks. Its methods may be called concurrently.
type Runner struct {
	cfg       Config
	transport *http.Transport
}

// New returns a runner.
func New(cfg Config) *Runner { return &Runner{cfg: cfg, transport: probe.NewTransport(false)} }

// Container is the running container that a hook is for.
type Container struct {
	Pod  *corev1.Pod
	Spec *corev1.Container
	// ID is the runtime's.
	ID string
	// Host is the pod's address.
	Host string
}

// Run runs a hook until it ends, or ctx does. The note, if any, is for an Event with the
// reason LifecycleHTTPFallback; the error is for the container's status.
func (r *Runner) Run(ctx context.Context, c Container, h *corev1.LifecycleHandler) (note string, err error) {
	switch {
	case h.Exec != nil:
		if printed, err := r.command(ctx, c, h.Exec.Command); err != nil {
			return "", failure(c, "Exec", fmt.Sprint(h.Exec.Command), fmt.Sprintf("%v, message: %q", err, printed))
		}
		return "", nil
	case h.HTTPGet != nil:
		if note, err = r.get(ctx, c, h.HTTPGet); err != nil {
			return "", failure(c, "HTTP", h.HTTPGet.Path, err.Error())
		}
		return note, nil
	case h.Sleep != nil:
		if !wait.Pause(ctx, r.cfg.Wall, time.Duration(h.Sleep.Seconds)*time.Second) {
			return "", failure(c, "Sleep", fmt.Sprint(h.Sleep.Seconds), ctx.Err().Error())
		}
		return "", nil
	}
	return "", failure(c, "Invalid", "tcpSocket", "hooks run commands, ask by HTTP, or sleep")
}

func failure(c Container, kind, what, why string) error {
	return fmt.Errorf("%s lifecycle hook (%s) for Container %q in Pod %q failed - error: %s", kind, what, c.Spec.Name, events.PodName(c.Pod), why)
}

// command runs a command as it stands, without a shell.
func (r *Runner) command(ctx context.Context, c Container, command []string) (printed string, err error) {
	result, err := r.cfg.Exec.ExecSync(ctx, c.ID, command, unlimited)
	printed = strings.ToValidUTF8(string(probe.Output(result)), "\uFFFD")
	switch {
	case err != nil:
		return printed, errors.New(cri.Message(err))
	case result.ExitCode != 0:
		return printed, fmt.Errorf("command '%s' exited with %d: %s", strings.Join(command, " "), result.ExitCode, printed)
	}
	return printed, nil
}

// get asks a server; any answer will do. One that does not speak TLS is asked without,
// and without what only TLS keeps secret.
func (r *Runner) get(ctx context.Context, c Container, get *corev1.HTTPGetAction) (note string, err error) {
	request, err := probe.NewRequest(ctx, get, c.Spec, c.Host, "kube-lifecycle/"+r.cfg.Version)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: r.transport, CheckRedirect: probe.SameHost}
	answer, err := client.Do(request)
	if errors.Is(err, http.ErrSchemeMismatch) {
		request.URL.Scheme = "http"
		request.URL.User = nil
		request.Header.Del("Authorization")
		note = fmt.Sprintf("request to HTTPS lifecycle hook %s got HTTP response, retry with HTTP succeeded", request.URL.Host)
		answer, err = client.Do(request)
	}
	if err != nil {
		return "", err
	}
	return note, answer.Body.Close()
}
