package podworker

import (
	"context"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
)

const (
	// retryFirst and retryMost bound the pause after a failure that is not the
	// container's own.
	retryFirst = time.Second
	retryMost  = 10 * time.Second
)

// start carries out a plan: volumes and sandbox at the same time, then the
// containers in order. It returns the pause before it must be tried again; the
// volumes wake the worker when they are published.
func (w *Worker) start(ctx, wait context.Context, pod *corev1.Pod, p lifecycle.Plan) time.Duration {
	for _, c := range p.Start {
		if c.Asked {
			w.container(c.Spec.Name).waiting = &status.Waiting{Reason: status.ContainerCreating}
		}
	}
	for _, c := range p.Stop {
		w.killing(pod, c, w.stopping(c))
		if err := w.stopContainer(ctx, wait, c, lifecycle.Grace(pod)); err != nil {
			return again
		}
	}
	due, pause := w.due(p.Start)
	if len(due) == 0 {
		return pause
	}
	w.firstReport(pod)

	w.setUpVolumes(ctx, pod)
	sandbox, spec, sandboxPause := w.sandbox(ctx, wait, pod, p)
	if sandbox == nil {
		return lifecycle.Sooner(pause, sandboxPause)
	}
	if published, volumesPause := w.volumes.state(); !published {
		return lifecycle.Sooner(pause, volumesPause)
	}
	for _, c := range due {
		if wait.Err() != nil {
			return again
		}
		pause = lifecycle.Sooner(pause, w.startContainer(ctx, wait, pod, c, sandbox, spec))
		// Those that run are reported while the others start.
		if c != due[len(due)-1] {
			w.report(pod, false)
		}
	}
	w.prune(ctx)
	return pause
}

// due are those of the containers to start whose back-off or pause is over, and the
// pause until the first of the others.
func (w *Worker) due(start []lifecycle.Start) (due []*corev1.Container, pause time.Duration) {
	now, asked := w.now(), w.board.asked()
	for _, c := range start {
		state := w.container(c.Spec.Name)
		if memory, anew := state.Remember(c.Spec, w.rt().Newest(c.Spec.Name), w.onClock); anew {
			*state = containerState{Memory: memory, release: state.release, waiting: state.waiting}
		}
		wait := lifecycle.Due(c, state.Memory, w.rt(), asked, now)
		if wait.Crashed != nil {
			w.backsOff(c.Spec, state, wait.Crashed)
		}
		if wait.Left > 0 {
			pause = lifecycle.Sooner(pause, wait.Left)
			continue
		}
		due = append(due, c.Spec)
	}
	return due, pause
}

// backsOff notes that a container that has ended waits for its back-off.
func (w *Worker) backsOff(c *corev1.Container, state *containerState, crashed *cri.Container) {
	pod := w.board.snapshot().Pod
	state.waiting = &status.Waiting{Reason: status.CrashLoopBackOff, Message: backOffMessage(state.Restart.Delay, c.Name, pod)}
	if state.announced != crashed.ID {
		state.announced = crashed.ID
		w.deps.Events.Eventf(events.Container(pod, c.Name), corev1.EventTypeWarning, events.BackOff,
			"Back-off restarting failed container %s in pod %s", c.Name, events.PodName(pod))
	}
}

// firstReport shows a new pod as taken up, while its sandbox is being made.
func (w *Worker) firstReport(pod *corev1.Pod) {
	if w.board.snapshot().Status == nil && pod.Status.StartTime == nil {
		w.report(pod, false)
	}
}

// sandbox returns the sandbox to start containers in, making one where the plan has
// none. It returns nil and a pause when that failed.
func (w *Worker) sandbox(ctx, wait context.Context, pod *corev1.Pod, p lifecycle.Plan) (*cri.Sandbox, *cri.SandboxSpec, time.Duration) {
	dns, wantsCluster := runspec.DNS(pod, hostDNS())
	spec := w.sandboxSpec(pod, dns)
	if p.Sandbox != nil {
		spec.Attempt = p.Sandbox.Attempt
		return p.Sandbox, spec, 0
	}
	if left := w.sandboxRetry.Until.Sub(w.now()); left > 0 {
		return nil, nil, left
	}
	if wantsCluster && !w.warned {
		w.warned = true
		w.deps.Events.Eventf(events.Pod(pod), corev1.EventTypeWarning, events.ClusterDNS,
			"pod: %q. kubelet does not have ClusterDNS IP configured and cannot create Pod using %q policy. Falling back to \"Default\" policy.",
			events.PodName(pod), pod.Spec.DNSPolicy)
	}
	if old := w.rt().Sandbox(); old != nil {
		spec.Attempt = old.Attempt + 1
		if p.Replaced && len(w.rt().Containers) > 0 {
			w.deps.Events.Event(events.Pod(pod), corev1.EventTypeNormal, events.SandboxChanged, "Pod sandbox changed, it will be killed and re-created.")
		}
		if err := w.deps.Runtime.StopSandbox(ctx, old.ID); err != nil {
			return nil, nil, w.sandboxFailed(pod, err)
		}
	}
	done, ok := w.deps.Turn(wait)
	if !ok {
		return nil, nil, again
	}
	defer done()
	if err := w.deps.Groups.MakePod(w.uid, runspec.PodLimits(pod)); err != nil {
		w.log("limits of the whole pod not set, those of its containers hold", "error", err)
	}
	made, err := w.makeSandbox(ctx, spec)
	if err != nil {
		return nil, nil, w.sandboxFailed(pod, err)
	}
	w.sandboxRetry = lifecycle.Retry{}
	w.board.show(func(s *Snapshot) { s.Runtime.Sandboxes = append([]cri.Sandbox{made}, s.Runtime.Sandboxes...) })
	return w.rt().Sandbox(), spec, 0
}

// makeSandbox runs a sandbox. The end of ctx does not interrupt it: half a sandbox
// helps nobody.
func (w *Worker) makeSandbox(ctx context.Context, spec *cri.SandboxSpec) (cri.Sandbox, error) {
	ctx = context.WithoutCancel(ctx)
	if err := os.MkdirAll(spec.LogDir, 0o755); err != nil {
		return cri.Sandbox{}, err
	}
	id, err := w.deps.Runtime.RunSandbox(ctx, spec)
	if err != nil {
		return cri.Sandbox{}, err
	}
	w.deps.Inventory.Own(id, w.uid)
	s, err := w.deps.Runtime.SandboxStatus(ctx, id)
	if err != nil {
		w.board.markDirty()
		return cri.Sandbox{}, err
	}
	return s, nil
}

func (w *Worker) sandboxFailed(pod *corev1.Pod, err error) time.Duration {
	w.deps.Events.Eventf(events.Pod(pod), corev1.EventTypeWarning, events.Sandbox, "Failed to create pod sandbox: %s", cri.Message(err))
	w.board.markDirty()
	w.sandboxRetry.Later(w.now(), retryFirst, retryMost)
	return w.sandboxRetry.Delay
}

func (w *Worker) sandboxSpec(pod *corev1.Pod, dns cri.DNS) *cri.SandboxSpec {
	return runspec.Sandbox(pod, runspec.SandboxOptions{
		Instance: w.deps.Node.Instance, CgroupParent: w.deps.Groups.Pod(w.uid), DNS: dns,
		LogDir: runspec.LogDir(w.deps.Node.LogRoot, pod.Namespace, pod.Name, string(pod.UID)),
	})
}

// hostDNS is the machine's resolver configuration, as far as it is of use in a pod:
// where only a local stub is named, that of systemd-resolved behind it.
func hostDNS() cri.DNS {
	data, _ := bounded.File("/etc/resolv.conf", bounded.Small)
	dns := runspec.ParseResolvConf(data)
	if !runspec.OnlyLoopback(dns) {
		return dns
	}
	upstream, err := bounded.File("/run/systemd/resolve/resolv.conf", bounded.Small)
	if err != nil {
		return dns
	}
	return runspec.ParseResolvConf(upstream)
}

// stopping is the message of the Event about a container that must not go on.
func (w *Worker) stopping(c cri.Container) string {
	if message, ok := w.board.replaced(c); ok {
		return message
	}
	return "Container " + c.Name + " definition changed, will be restarted"
}
