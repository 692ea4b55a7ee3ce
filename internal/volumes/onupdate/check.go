package onupdate

import (
	"context"
	"fmt"
	"path"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/volumes/publish"
	"laterna.dev/laterna/internal/wait"
)

// Guards implements publish.Gate.
func (r *Runner) Guards(pod *corev1.Pod, volume string) bool {
	if _, has := annotation(pod); !has {
		return false
	}
	return len(r.checks(r.state(pod), pod, volume)) > 0
}

// checks are the rules that guard a volume.
func (r *Runner) checks(st *podState, pod *corev1.Pod, volume string) (found []rule) {
	r.read(st, pod)
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, k := range st.rules {
		if k.IsCheck() && slices.Contains(k.Volumes, volume) {
			found = append(found, k)
		}
	}
	return found
}

// Check implements publish.Gate: all checks of the volume must pass, in the
// annotation's order. One that cannot be run because there is nobody to run it counts
// as passed: a container that has crashed must be able to get what mends it.
func (r *Runner) Check(ctx context.Context, pod *corev1.Pod, c publish.Candidate) publish.Verdict {
	st := r.state(pod)
	reject := false
	for _, k := range r.checks(st, pod, c.Volume) {
		e := r.check(ctx, st, pod, k, c)
		if ctx.Err() != nil {
			return publish.Verdict{Reject: true}
		}
		st.mu.Lock()
		st.outcomes = keep(st.outcomes, Outcome{
			Volume: c.Volume, Check: true, Action: k.String(), Container: k.Container,
			Time: r.cfg.Clock.Now(), Result: e.result, Message: e.message,
		})
		st.mu.Unlock()
		r.remember(st)
		switch e.result {
		case Rejected:
			r.warn(st, k.Container, ReasonRejected, e.message)
		case Skipped:
			r.warn(st, k.Container, ReasonUnchecked, e.message)
		}
		if reject = e.result == Rejected; reject {
			break
		}
	}
	r.changed(st.uid)
	return publish.Verdict{Reject: reject}
}

// check runs one check.
func (r *Runner) check(ctx context.Context, st *podState, pod *corev1.Pod, k rule, candidate publish.Candidate) ended {
	dir, ok := mountedAt(pod, k.Container, candidate)
	if !ok {
		return skipped(candidate, fmt.Sprintf("container %s sees it by subPath only", k.Container))
	}
	c, res, e := r.ask(ctx, st, k, dir)
	switch {
	case e.result == "" || e.result == Succeeded:
		return e
	case e.result == Skipped:
		return skipped(candidate, e.message)
	case r.hasEnded(st, k.Container, c.ID):
		return skipped(candidate, fmt.Sprintf("container %s ended during the check", k.Container))
	}
	message := fmt.Sprintf("volume %q keeps its files: %s", candidate.Volume, e.message)
	if candidate.Confidential && len(res.Stdout)+len(res.Stderr) > 0 {
		message = shorten(message + hidden)
	} else {
		message = withShown(pod, k.Rule, message, res, maxMessage)
	}
	return ended{result: Rejected, message: message}
}

// ask runs the command of a check, again in the next container when this one is
// replaced by a rule meanwhile. The result is empty when ctx ended.
func (r *Runner) ask(ctx context.Context, st *podState, k rule, dir string) (c Container, res ExecResult, e ended) {
	for try := 1; ; try++ {
		c, ok := r.asked(ctx, st, k.Container)
		switch {
		case !ok:
			return c, res, ended{}
		case !c.Running:
			return c, res, ended{result: Skipped, message: notRunning(k.Container, c)}
		case c.Crashing:
			return c, res, ended{result: Skipped, message: fmt.Sprintf("container %s has crashed and was restarted just now", k.Container)}
		}
		res, err := r.exec(ctx, c.ID, k.CheckCommand(dir), k.Timeout)
		e := outcomeOf(k.Rule, res, err)
		if e.result == Succeeded || try == replacedTries || !r.lost(ctx, st, k.Container, c.ID, res, err) || !st.replaces(k.Container, c.ID) {
			return c, res, e
		}
	}
}

const (
	// replacedTries is how many containers are asked that a rule replaces.
	replacedTries = 3
	// replacedWait is how long the next container is waited for.
	replacedWait = 10 * time.Second
)

// asked is the container that is to be asked: while a rule replaces one, the next.
func (r *Runner) asked(ctx context.Context, st *podState, name string) (c Container, ok bool) {
	for end := r.cfg.Clock.Now().Add(replacedWait); ; {
		c, ok = r.container(ctx, st, name)
		if !ok || c.Running || !st.replaces(name, c.ID) || !r.cfg.Clock.Now().Before(end) {
			return c, ok
		}
		if !wait.Pause(ctx, r.cfg.Clock, look) {
			return c, false
		}
	}
}

// replaces tells whether a container is, or was, to be replaced by a rule.
func (st *podState) replaces(name, id string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return id != "" && st.restarting[name] == id
}

func skipped(c publish.Candidate, why string) ended {
	return ended{result: Skipped, message: shorten(fmt.Sprintf("volume %q is published without its check: %s", c.Volume, why))}
}

// mountedAt is where a container sees the candidate; ok is false when it mounts no
// more than parts of the volume.
func mountedAt(pod *corev1.Pod, container string, c publish.Candidate) (dir string, ok bool) {
	in := podfields.Container(&pod.Spec, container)
	if in == nil {
		return "", false
	}
	for _, m := range in.VolumeMounts {
		if m.Name == c.Volume && m.SubPath == "" && m.SubPathExpr == "" {
			return path.Join("/", m.MountPath, c.Dir), true
		}
	}
	return "", false
}
