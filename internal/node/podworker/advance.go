package podworker

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/runtime/cri"
)

// advance brings a pod that is not to be deleted closer to its spec. ctx bounds
// calls, wait ends also when the pod is to be deleted.
func (w *Worker) advance(ctx, wait context.Context, pod *corev1.Pod) time.Duration {
	if w.finished {
		return 0
	}
	if lifecycle.Final(pod.Status.Phase) {
		return w.finish(ctx, wait, pod)
	}
	if refused := w.board.snapshot().Refused; refused != nil {
		return w.refuse(ctx, wait, pod, refused)
	}
	if w.blocked(pod) {
		w.report(pod, false)
		return 0
	}
	pause, late := w.deadlineLeft(pod)
	if late {
		return w.fail(ctx, wait, pod, outlived(pod))
	}
	if v := w.evicted(); v != nil {
		return w.fail(ctx, wait, pod, v)
	}
	p := lifecycle.Decide(pod, w.rt(), w.board.asked())
	if !p.Over {
		pause = lifecycle.Sooner(pause, w.start(ctx, wait, pod, p))
	}
	if s := w.report(pod, false); lifecycle.Final(s.Phase) {
		return w.finish(ctx, wait, pod)
	}
	return pause
}

// refuse fails a pod that was not admitted.
func (w *Worker) refuse(ctx, wait context.Context, pod *corev1.Pod, why *status.Waiting) time.Duration {
	w.deps.Events.Event(events.Pod(pod), corev1.EventTypeWarning, why.Reason, why.Message)
	w.failed = &status.Waiting{Reason: why.Reason, Message: "Pod was rejected: " + why.Message}
	w.report(pod, true)
	return w.finish(ctx, wait, pod)
}

// blocked records once why a pod is not started: it has a field that would change
// what it does and that the agent does not honour.
func (w *Worker) blocked(pod *corev1.Pod) bool {
	findings := podfields.Blocking(&pod.Spec)
	if len(findings) == 0 {
		return false
	}
	for _, c := range lifecycle.Run(&pod.Spec) {
		w.container(c.Spec.Name).waiting = &status.Waiting{
			Reason: status.CreateContainerConfigError, Message: findings[0].String(),
		}
	}
	if !w.warned {
		w.warned = true
		for _, f := range findings {
			w.deps.Events.Event(events.Pod(pod), corev1.EventTypeWarning, events.Unsupported, f.String())
		}
	}
	return true
}

// deadlineLeft returns how long the pod may still be active, zero when there is no
// limit, and whether its time is over.
func (w *Worker) deadlineLeft(pod *corev1.Pod) (left time.Duration, late bool) {
	if pod.Spec.ActiveDeadlineSeconds == nil {
		return 0, false
	}
	if w.started.IsZero() {
		start := w.deps.Wall.Now()
		if pod.Status.StartTime != nil {
			start = pod.Status.StartTime.Time
		}
		w.started = w.onClock(start)
	}
	return lifecycle.ActiveLeft(pod, w.started, w.now())
}

// fail ends a pod for good.
func (w *Worker) fail(ctx, wait context.Context, pod *corev1.Pod, v *verdict) time.Duration {
	if w.failed == nil {
		w.failed = &v.Waiting
		w.deps.Events.Event(events.Pod(pod), v.eventType, v.Reason, v.Message)
	}
	if pause := w.stopAll(ctx, wait, pod, v.grace); pause > 0 {
		return pause
	}
	w.report(pod, true)
	return w.finish(ctx, wait, pod)
}

// finish frees what a pod that has ended no longer needs. Its containers stay, for
// their logs.
func (w *Worker) finish(ctx, wait context.Context, pod *corev1.Pod) time.Duration {
	if pause := w.stopAll(ctx, wait, pod, lifecycle.Grace(pod)); pause > 0 {
		return pause
	}
	if pause := w.release(ctx, pod); pause > 0 {
		return pause
	}
	w.releaseObjects()
	w.finished = true
	return 0
}

// report computes the pod's status and has it written.
func (w *Worker) report(pod *corev1.Pod, terminal bool) corev1.PodStatus {
	in := status.Input{
		Pod: w.remembered(pod), Sandbox: w.rt().Sandbox(), Containers: w.rt().Containers,
		Waiting: map[string]status.Waiting{}, HostIPs: w.deps.Node.IPs,
		Runtime: w.deps.Node.Runtime, Terminal: terminal, Failed: w.failed,
		Now: metav1.NewTime(w.deps.Wall.Now().Truncate(time.Second)),
	}
	if !terminal {
		in.Failed = nil
		for name, c := range w.containers {
			if c.waiting != nil {
				in.Waiting[name] = *c.waiting
			}
		}
	}
	s := status.Pod(in)
	w.board.show(func(now *Snapshot) { now.Status = &s })
	w.writer.write(s)
	return s
}

// remembered is the pod with the status that was reported last, which the API may
// not show yet, and the conditions that others have written to the API since.
func (w *Worker) remembered(pod *corev1.Pod) *corev1.Pod {
	last := w.board.snapshot().Status
	if last == nil {
		return pod
	}
	out := *pod
	out.Status = *last
	out.Status.Conditions = mergeConditions(last.Conditions, pod.Status.Conditions)
	return &out
}

// mergeConditions is ours, with those that others own as theirs has them.
func mergeConditions(ours, theirs []corev1.PodCondition) []corev1.PodCondition {
	out := slices.Clone(ours)
	for _, c := range theirs {
		i := slices.IndexFunc(out, func(k corev1.PodCondition) bool { return k.Type == c.Type })
		switch {
		case i < 0:
			out = append(out, c)
		case !slices.Contains(status.Owned, c.Type):
			out[i] = c
		}
	}
	return out
}

// withAddresses is the pod as it sees itself: its status has its addresses, which
// the API may not show yet.
func (w *Worker) withAddresses(pod *corev1.Pod, sandbox *cri.Sandbox) *corev1.Pod {
	out := *w.remembered(pod)
	s := status.Pod(status.Input{Pod: &out, Sandbox: sandbox, HostIPs: w.deps.Node.IPs})
	out.Status.HostIP, out.Status.HostIPs = s.HostIP, s.HostIPs
	out.Status.PodIP, out.Status.PodIPs = s.PodIP, s.PodIPs
	return &out
}

func backOffMessage(delay time.Duration, container string, pod *corev1.Pod) string {
	return fmt.Sprintf("back-off %s restarting failed container=%s pod=%s", delay, container, events.PodName(pod))
}
