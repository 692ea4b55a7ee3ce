package onupdate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	rules "laterna.dev/laterna/api/onupdate"

	"laterna.dev/laterna/internal/wait"
)

const (
	// look is the pause between looks at a container that is about to change, and at a
	// process that does not handle a signal yet.
	look = 50 * time.Millisecond
	// handlerWait is how long a process is given to begin to handle a signal: it may
	// have been started just now.
	handlerWait = 3 * time.Second
	// again is the pause before a runtime that does not answer is asked again, tries
	// how often it is asked.
	again, tries = time.Second, 30
	// endSight is how long after the runtime the agent may come to know that a container
	// has ended.
	endSight = time.Second
	// killed is the exit code of a command that ended with its container.
	killed = 128 + 9
)

// ended is how a job went.
type ended struct {
	result  Result
	message string // for the Outcome, and for the Event after the volumes' names
	exec    ExecResult
}

// run runs one job and says how it went. When the pod or the agent ends meanwhile, the
// job stays to be done.
func (r *Runner) run(st *podState, j *job) {
	if r.cfg.Fresh != nil {
		st.mu.Lock()
		pod := st.pod
		st.mu.Unlock()
		for _, volume := range j.volumes() {
			r.cfg.Fresh(st.ctx, pod, volume)
		}
	}
	e := r.act(st, j)
	if st.ctx.Err() != nil {
		return
	}
	message, but := e.message, quoted(j.volumes())+", but "
	st.mu.Lock()
	if e.result == Failed {
		message = withShown(st.pod, j.Rule, message, e.exec, maxMessage-len(but))
	}
	for volume, generation := range j.updates {
		st.outcomes = keep(st.outcomes, Outcome{
			Volume: volume, Action: j.String(), Container: j.Container, Time: r.cfg.Clock.Now(),
			Generation: generation, Result: e.result, Message: message,
		})
	}
	j.settled = true
	st.mu.Unlock()
	r.remember(st)
	switch e.result {
	case Succeeded:
		r.applied(st, j.Container, quoted(j.volumes())+": "+j.String()+" succeeded")
	case Failed:
		r.warn(st, j.Container, ReasonFailed, but+message)
	}
	r.changed(st.uid)
}

// act does what a job says.
func (r *Runner) act(st *podState, j *job) ended {
	c, ok := r.container(st.ctx, st, j.Container)
	switch {
	case !ok:
		return ended{}
	case j.Restart && c.ID != "" && (c.Running || c.Crashing):
		return r.restart(st, j, c)
	case !c.Running:
		return ended{result: Skipped, message: notRunning(j.Container, c) + ", it reads the new files when it starts"}
	case j.Signal != "":
		return r.signal(st, j, c)
	}
	res, err := r.exec(st.ctx, c.ID, j.Exec, j.Timeout)
	e := outcomeOf(j.Rule, res, err)
	if e.result == Failed && r.lost(st.ctx, st, j.Container, c.ID, res, err) {
		return ended{result: Skipped, message: fmt.Sprintf("container %s ended meanwhile, it reads the new files when it starts", j.Container)}
	}
	return e
}

func notRunning(name string, c Container) string {
	if c.Why == "" {
		return fmt.Sprintf("container %s is not running", name)
	}
	return fmt.Sprintf("container %s is not running (%s)", name, c.Why)
}

// container waits until it is certain how a container is; ok is false when ctx ended.
func (r *Runner) container(ctx context.Context, st *podState, name string) (c Container, ok bool) {
	for {
		c, known := r.cfg.Container(st.uid, name)
		if known {
			return c, true
		}
		if !wait.Pause(ctx, r.cfg.Clock, look) {
			return Container{}, false
		}
	}
}

// hasEnded tells whether a container does not run any more.
func (r *Runner) hasEnded(st *podState, name, id string) bool {
	c, known := r.cfg.Container(st.uid, name)
	return !known || !c.Running || c.ID != id
}

// lost tells whether a command failed because its container has ended.
func (r *Runner) lost(ctx context.Context, st *podState, name, id string, res ExecResult, err error) bool {
	doubtful := res.ExitCode == killed || err != nil && !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrTooLong)
	for end := r.cfg.Clock.Now().Add(endSight); ; {
		if r.hasEnded(st, name, id) {
			return true
		}
		if !doubtful || !r.cfg.Clock.Now().Before(end) || !wait.Pause(ctx, r.cfg.Clock, look) {
			return false
		}
	}
}

func (r *Runner) signal(st *podState, j *job, c Container) ended {
	for end := r.cfg.Clock.Now().Add(handlerWait); ; {
		err := r.cfg.Signal(st.ctx, c.ID, j.Signal)
		switch {
		case err == nil:
			return ended{result: Succeeded}
		case errors.Is(err, ErrUnhandled) && r.cfg.Clock.Now().Before(end):
			if wait.Pause(st.ctx, r.cfg.Clock, look) {
				continue
			}
		case r.hasEnded(st, j.Container, c.ID):
			return ended{result: Skipped, message: fmt.Sprintf("container %s ended meanwhile, it reads the new files when it starts", j.Container)}
		}
		return ended{result: Failed, message: fmt.Sprintf("%s was not sent: %v", j.Signal, err)}
	}
}

// restart asks for the container to be replaced. From the moment that this is
// remembered it happens, also when the agent is killed.
func (r *Runner) restart(st *podState, j *job, c Container) ended {
	st.mu.Lock()
	st.restarting[j.Container] = c.ID
	j.settled = true
	st.mu.Unlock()
	r.remember(st)
	err := r.cfg.Restart(st.ctx, Restart{
		Pod: st.uid, Container: j.Container, ID: c.ID,
		Message: fmt.Sprintf("Container %s will be restarted: %s", j.Container, quoted(j.volumes())),
	})
	if err != nil {
		return ended{result: Failed, message: fmt.Sprintf("restart: %v", err)}
	}
	return ended{result: Succeeded}
}

// exec runs a command, and waits for a runtime that is being restarted.
func (r *Runner) exec(ctx context.Context, id string, command []string, timeout time.Duration) (ExecResult, error) {
	for try := 1; ; try++ {
		res, err := r.cfg.Exec(ctx, id, command, timeout)
		if !errors.Is(err, ErrUnavailable) || try == tries || !wait.Pause(ctx, r.cfg.Clock, again) {
			return res, err
		}
	}
}

// outcomeOf says how a command ended.
func outcomeOf(k rules.Rule, res ExecResult, err error) ended {
	switch {
	case errors.Is(err, ErrTimeout):
		return ended{Failed, fmt.Sprintf("%s did not end within %s", k, k.Timeout), res}
	case errors.Is(err, ErrTooLong):
		return ended{Failed, fmt.Sprintf("%s printed more than 1 MiB, so nobody knows how it ended", k), res}
	case err != nil:
		return ended{Failed, fmt.Sprintf("%s could not be run: %v", k, err), res}
	case res.ExitCode == 126 || res.ExitCode == 127:
		return ended{Failed, fmt.Sprintf("%s ended with exit code %d (its program was not found or cannot be run)", k, res.ExitCode), res}
	case res.ExitCode != 0:
		return ended{Failed, fmt.Sprintf("%s ended with exit code %d", k, res.ExitCode), res}
	}
	return ended{result: Succeeded, exec: res}
}

// withShown is a message of at most limit bytes with what a command printed, as far as
// that may be shown.
func withShown(pod *corev1.Pod, k rules.Rule, message string, res ExecResult, limit int) string {
	switch {
	case len(res.Stdout)+len(res.Stderr) == 0:
		return shorten(message)
	case slices.ContainsFunc(k.Volumes, func(v string) bool { return confidential(pod, v) }):
		return shorten(message + hidden)
	}
	return withOutput(message, res, limit)
}

const hidden = " (what it printed is not shown, since the volume has secrets or tokens)"
