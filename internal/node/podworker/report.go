package podworker

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/node/statuswriter"
	"laterna.dev/laterna/internal/runtime/cri"
)

// reporter says how the pod is: on the board and, by its writer, to the API.
type reporter struct {
	*core
	writer *statuswriter.Writer
	// failed is why the pod has failed beside its containers, nil while it has not.
	failed *status.Waiting
	// restarting says that all containers are being removed to be started again.
	restarting bool
}

// report computes the pod's status and has it written.
func (r *reporter) report(pod *corev1.Pod, terminal bool) corev1.PodStatus {
	in := status.Input{
		Pod: r.remembered(pod), Sandbox: r.rt().Sandbox(), Containers: r.rt().Containers, Probed: r.rt().Probed,
		Replaced: r.board.asked(), Waiting: map[string]status.Waiting{}, HostIPs: r.deps.Node.IPs,
		Runtime: r.deps.Node.Runtime, Terminal: terminal, Failed: r.failed, Rejected: r.failed != nil && r.board.snapshot().Refused != nil,
		Restarting: r.restarting,
		Now:        metav1.NewTime(r.deps.Wall.Now().Truncate(time.Second)),
	}
	conditions, actual := r.deps.Resizes.Told(r.uid)
	in.Resizing, in.Actual, in.ActualPod = conditions, actual.Containers, actual.Pod
	if !terminal {
		in.Failed = nil
		for name, c := range r.containers {
			if c.waiting != nil {
				in.Waiting[name] = *c.waiting
			}
		}
	}
	s := status.Pod(in)
	r.board.show(func(now *Snapshot) { now.Status = &s })
	r.writer.Write(s)
	return s
}

// await waits until work is done beside the worker, and reports meanwhile what probes
// find and what others change in the API.
func (r *reporter) await(s *step, work func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	for {
		select {
		case <-done:
			return
		case <-r.board.moved:
			if now := r.board.snapshot(); !s.gone && !now.Gone {
				r.report(now.Pod, false)
			}
		}
	}
}

// remembered is the pod with the status that was reported last, which the API may
// not show yet, and the conditions that others have written to the API since.
func (r *reporter) remembered(pod *corev1.Pod) *corev1.Pod {
	last := r.board.snapshot().Status
	if last == nil {
		return pod
	}
	out := *pod
	out.Status = *last
	out.Status.Conditions = status.MergeConditions(last.Conditions, pod.Status.Conditions)
	return &out
}

// withAddresses is the pod as it sees itself: its status has its addresses, which
// the API may not show yet.
func (r *reporter) withAddresses(pod *corev1.Pod, sandbox *cri.Sandbox) *corev1.Pod {
	out := *r.remembered(pod)
	s := status.Pod(status.Input{Pod: &out, Sandbox: sandbox, HostIPs: r.deps.Node.IPs})
	out.Status.HostIP, out.Status.HostIPs = s.HostIP, s.HostIPs
	out.Status.PodIP, out.Status.PodIPs = s.PodIP, s.PodIPs
	return &out
}

// firstReport shows a new pod as taken up, while its sandbox is being made.
func (r *reporter) firstReport(pod *corev1.Pod) {
	if r.board.snapshot().Status == nil && pod.Status.StartTime == nil {
		r.report(pod, false)
	}
}
