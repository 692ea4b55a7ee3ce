package node

import (
	"context"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/bounded"
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
func (w *worker) start(ctx, wait context.Context, pod *corev1.Pod, p plan) time.Duration {
	for _, c := range p.stop {
		w.killing(pod, c, w.stopping(c))
		if err := w.stopContainer(ctx, wait, c, grace(pod)); err != nil {
			return again
		}
	}
	ready, pause := w.ready(p.start)
	if len(ready) == 0 {
		return pause
	}
	w.firstReport(pod)

	w.setUpVolumes(ctx, pod)
	sandbox, spec, sandboxPause := w.sandbox(ctx, wait, pod, p)
	if sandbox == nil {
		return sooner(pause, sandboxPause)
	}
	if published, volumesPause := w.volumes.state(); !published {
		return sooner(pause, volumesPause)
	}
	for _, c := range ready {
		if wait.Err() != nil {
			return again
		}
		pause = sooner(pause, w.startContainer(ctx, wait, pod, c, sandbox, spec))
		// Those that run are reported while the others start.
		if c != ready[len(ready)-1] {
			w.report(pod, false)
		}
	}
	w.prune(ctx)
	return pause
}

// ready are those of the containers to start whose back-off or pause is over, and
// the pause until the first of the others.
func (w *worker) ready(start []*corev1.Container) (ready []*corev1.Container, pause time.Duration) {
	now := w.now()
	for _, c := range start {
		state := w.container(c.Name)
		if hash := runspec.Hash(c); state.hash != hash {
			*state = containerState{hash: hash, release: state.release, waiting: state.waiting}
			if attempts := status.Attempts(w.rt.containers, c.Name); len(attempts) > 0 && attempts[0].Annotations[runspec.AnnotationHash] == hash {
				state.restart = restored(attempts[0].Attempt, w.onClock(attempts[0].CreatedAt))
			}
		}
		left := max(w.crashLoop(c, state, now), state.retry.until.Sub(now))
		if left > 0 {
			pause = sooner(pause, left)
			continue
		}
		ready = append(ready, c)
	}
	return ready, pause
}

// crashLoop returns how long a container that has ended must wait before it is
// started again, and notes that it waits.
func (w *worker) crashLoop(c *corev1.Container, state *containerState, now time.Time) time.Duration {
	attempts := status.Attempts(w.rt.containers, c.Name)
	if len(attempts) == 0 {
		return 0
	}
	ended, dead := w.rt.ended[attempts[0].ID]
	if _, asked := w.replaced(attempts[0]); !dead || asked {
		return 0
	}
	left := state.restart.wait(ended, now)
	if left <= 0 {
		return 0
	}
	pod := w.currentPod()
	state.waiting = &status.Waiting{Reason: status.CrashLoopBackOff, Message: backOffMessage(state.restart.delay, c.Name, pod)}
	if state.announced != attempts[0].ID {
		state.announced = attempts[0].ID
		w.a.recorder.Eventf(containerRef(pod, c.Name), corev1.EventTypeWarning, reasonBackOff,
			"Back-off restarting failed container %s in pod %s", c.Name, podName(pod))
	}
	return left
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
func (w *worker) sandbox(ctx, wait context.Context, pod *corev1.Pod, p plan) (*cri.Sandbox, *cri.SandboxSpec, time.Duration) {
	dns, wantsCluster := runspec.DNS(pod, hostDNS())
	spec := w.sandboxSpec(pod, dns)
	if p.sandbox != nil {
		spec.Attempt = p.sandbox.Attempt
		return p.sandbox, spec, 0
	}
	if left := w.sandboxRetry.until.Sub(w.now()); left > 0 {
		return nil, nil, left
	}
	if wantsCluster && !w.warned {
		w.warned = true
		w.a.recorder.Eventf(podRef(pod), corev1.EventTypeWarning, reasonClusterDNS,
			"pod: %q. kubelet does not have ClusterDNS IP configured and cannot create Pod using %q policy. Falling back to \"Default\" policy.",
			podName(pod), pod.Spec.DNSPolicy)
	}
	if old := w.rt.sandbox(); old != nil {
		spec.Attempt = old.Attempt + 1
		if p.replaced && len(w.rt.containers) > 0 {
			w.a.recorder.Event(podRef(pod), corev1.EventTypeNormal, reasonSandboxChanged, "Pod sandbox changed, it will be killed and re-created.")
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
	w.sandboxRetry = retry{}
	w.rt.sandboxes = append([]cri.Sandbox{made}, w.rt.sandboxes...)
	return w.rt.sandbox(), spec, 0
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
	w.a.runtime.Load().own(id, w.uid)
	s, err := w.a.cri().SandboxStatus(ctx, id)
	if err != nil {
		w.markDirty()
		return cri.Sandbox{}, err
	}
	return s, nil
}

func (w *worker) sandboxFailed(pod *corev1.Pod, err error) time.Duration {
	w.a.recorder.Eventf(podRef(pod), corev1.EventTypeWarning, reasonSandbox, "Failed to create pod sandbox: %s", cri.Message(err))
	w.markDirty()
	w.sandboxRetry.later(w.now(), retryFirst, retryMost)
	return w.sandboxRetry.delay
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
