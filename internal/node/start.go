package node

import (
	"context"
	"os"
	"path/filepath"
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
func (w *worker) start(ctx, wait context.Context, pod *corev1.Pod, p lifecycle.Plan) time.Duration {
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
func (w *worker) due(start []lifecycle.Start) (due []*corev1.Container, pause time.Duration) {
	now, asked := w.now(), w.asked()
	for _, c := range start {
		state := w.container(c.Spec.Name)
		if memory, anew := state.Remember(c.Spec, w.rt.Newest(c.Spec.Name), w.onClock); anew {
			*state = containerState{Memory: memory, release: state.release, waiting: state.waiting}
		}
		wait := lifecycle.Due(c, state.Memory, &w.rt, asked, now)
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
func (w *worker) backsOff(c *corev1.Container, state *containerState, crashed *cri.Container) {
	pod := w.currentPod()
	state.waiting = &status.Waiting{Reason: status.CrashLoopBackOff, Message: backOffMessage(state.Restart.Delay, c.Name, pod)}
	if state.announced != crashed.ID {
		state.announced = crashed.ID
		w.a.recorder.Eventf(events.Container(pod, c.Name), corev1.EventTypeWarning, events.BackOff,
			"Back-off restarting failed container %s in pod %s", c.Name, events.PodName(pod))
	}
}

// currentPod is the pod with the annotations that it sees.
func (w *worker) currentPod() *corev1.Pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pod
}

// firstReport shows a new pod as taken up, while its sandbox is being made.
func (w *worker) firstReport(pod *corev1.Pod) {
	if w.last == nil && pod.Status.StartTime == nil {
		w.report(pod, false)
	}
}

// sandbox returns the sandbox to start containers in, making one where the plan has
// none. It returns nil and a pause when that failed.
func (w *worker) sandbox(ctx, wait context.Context, pod *corev1.Pod, p lifecycle.Plan) (*cri.Sandbox, *cri.SandboxSpec, time.Duration) {
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
		w.a.recorder.Eventf(events.Pod(pod), corev1.EventTypeWarning, events.ClusterDNS,
			"pod: %q. kubelet does not have ClusterDNS IP configured and cannot create Pod using %q policy. Falling back to \"Default\" policy.",
			events.PodName(pod), pod.Spec.DNSPolicy)
	}
	if old := w.rt.Sandbox(); old != nil {
		spec.Attempt = old.Attempt + 1
		if p.Replaced && len(w.rt.Containers) > 0 {
			w.a.recorder.Event(events.Pod(pod), corev1.EventTypeNormal, events.SandboxChanged, "Pod sandbox changed, it will be killed and re-created.")
		}
		if err := w.a.cri().StopSandbox(ctx, old.ID); err != nil {
			return nil, nil, w.sandboxFailed(pod, err)
		}
	}
	done, ok := w.a.turn(wait)
	if !ok {
		return nil, nil, again
	}
	defer done()
	if err := w.a.cfg.Groups.MakePod(w.uid, runspec.PodLimits(pod)); err != nil {
		w.log("limits of the whole pod not set, those of its containers hold", "error", err)
	}
	made, err := w.makeSandbox(ctx, spec)
	if err != nil {
		return nil, nil, w.sandboxFailed(pod, err)
	}
	w.sandboxRetry = lifecycle.Retry{}
	w.rt.Sandboxes = append([]cri.Sandbox{made}, w.rt.Sandboxes...)
	return w.rt.Sandbox(), spec, 0
}

// turn waits until a sandbox may be made, or until wait ends. Only a few are made at
// the same time, first come first served: a machine that makes fifty together needs
// a third more time for all of them, and none is ready before nearly all are.
func (a *Agent) turn(wait context.Context) (done func(), ok bool) {
	select {
	case a.turns <- struct{}{}:
		return func() { <-a.turns }, true
	case <-wait.Done():
		return nil, false
	}
}

// makeSandbox runs a sandbox. The end of ctx does not interrupt it: half a sandbox
// helps nobody.
func (w *worker) makeSandbox(ctx context.Context, spec *cri.SandboxSpec) (cri.Sandbox, error) {
	ctx = context.WithoutCancel(ctx)
	if err := os.MkdirAll(spec.LogDir, 0o755); err != nil {
		return cri.Sandbox{}, err
	}
	id, err := w.a.cri().RunSandbox(ctx, spec)
	if err != nil {
		return cri.Sandbox{}, err
	}
	w.a.runtime.Load().inventory.Own(id, w.uid)
	s, err := w.a.cri().SandboxStatus(ctx, id)
	if err != nil {
		w.markDirty()
		return cri.Sandbox{}, err
	}
	return s, nil
}

func (w *worker) sandboxFailed(pod *corev1.Pod, err error) time.Duration {
	w.a.recorder.Eventf(events.Pod(pod), corev1.EventTypeWarning, events.Sandbox, "Failed to create pod sandbox: %s", cri.Message(err))
	w.markDirty()
	w.sandboxRetry.Later(w.now(), retryFirst, retryMost)
	return w.sandboxRetry.Delay
}

func (w *worker) sandboxSpec(pod *corev1.Pod, dns cri.DNS) *cri.SandboxSpec {
	return runspec.Sandbox(pod, runspec.SandboxOptions{
		Instance: w.a.cfg.Instance, CgroupParent: w.a.cfg.Groups.Pod(w.uid), DNS: dns,
		LogDir: runspec.LogDir(w.a.cfg.logRoot(), pod.Namespace, pod.Name, string(pod.UID)),
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

// containerLog is a container's log, relative to the directory of all logs.
func containerLog(pod *corev1.Pod, container string, attempt uint32) string {
	return filepath.Join(runspec.LogDir("", pod.Namespace, pod.Name, string(pod.UID)), runspec.LogPath(container, attempt))
}
