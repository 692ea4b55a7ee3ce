package podworker

import (
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/probe"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
)

// probes has the running containers of the pod probed, and shows what is found.
type probes struct {
	*core
	reporter *reporter

	mu sync.Mutex
	// watched are the containers that are probed, and those that were stopped for it, by ID.
	watched map[string]*watched
}

// watched is the sink of one container's probes.
type watched struct {
	probes          *probes
	id, name        string
	watch           *probe.Watch
	failed, stopped bool
}

// follow begins to probe containers that run, and ends it for those that do not.
func (p *probes) follow(pod *corev1.Pod) {
	rt := p.rt()
	for _, c := range rt.Containers {
		if c.State == cri.ContainerRunning && !rt.Probed[c.ID].Hook {
			p.begin(pod, c)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, w := range p.watched {
		i := slices.IndexFunc(rt.Containers, func(c cri.Container) bool { return c.ID == id })
		if i >= 0 && (rt.Containers[i].State == cri.ContainerRunning || w.failed) {
			continue
		}
		w.watch.Stop()
		delete(p.watched, id)
		p.board.probed(id, nil)
	}
}

// begin probes a container that runs, if it has probes and is not probed yet. One that an
// earlier agent has probed stays as that had it.
func (p *probes) begin(pod *corev1.Pod, c cri.Container) {
	spec := lifecycle.Find(&pod.Spec, c.Name)
	if spec == nil || spec.LivenessProbe == nil && spec.ReadinessProbe == nil && spec.StartupProbe == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watched[c.ID] != nil {
		return
	}
	self := p.reporter.withAddresses(pod, p.rt().Sandbox())
	w := &watched{probes: p, id: c.ID, name: c.Name}
	p.watched[c.ID] = w
	w.watch = p.deps.Probes.Watch(probe.Container{
		Pod: p.uid, Namespace: pod.Namespace, PodName: pod.Name, ID: c.ID, Spec: spec, Host: self.Status.PodIP, StartedAt: c.StartedAt, Before: p.before(self, c),
	}, w)
	w.show()
}

// before is what the API has of a container that ran before this agent, nil of another.
func (p *probes) before(pod *corev1.Pod, c cri.Container) *probe.State {
	s := lifecycle.Reported(&pod.Status, c.Name)
	if s == nil || s.ContainerID != status.ContainerID(p.deps.Node.Runtime, c.ID) || s.State.Running == nil {
		return nil
	}
	return &probe.State{Started: s.Started != nil && *s.Started, Ready: s.Ready}
}

// show shows what is known of a container. It is called with mu held.
func (w *watched) show() {
	s := w.watch.State()
	w.failed = s.Failed != nil
	w.probes.board.probed(w.id, &lifecycle.Probed{Started: s.Started, Ready: s.Ready, Failed: w.failed})
}

// Changed implements probe.Sink.
func (w *watched) Changed() {
	w.probes.mu.Lock()
	known := w.probes.watched[w.id] == w && !w.stopped
	if known {
		w.show()
	}
	w.probes.mu.Unlock()
	if known {
		w.probes.board.signal()
	}
}

// Ran implements probe.Sink.
func (w *watched) Ran(r probe.Run) {
	pod := w.probes.board.snapshot().Pod
	ref := events.Container(pod, w.name)
	switch record := w.probes.deps.Events; r.Result {
	case probe.Failed:
		record.Eventf(ref, corev1.EventTypeWarning, events.Unhealthy, "%s probe failed: %s", r.Kind, r.Output)
	case probe.Unknown:
		record.Eventf(ref, corev1.EventTypeWarning, events.Unhealthy, "%s probe errored and resulted in unknown state: %s", r.Kind, r.Output)
	case probe.Warning:
		record.Eventf(ref, corev1.EventTypeWarning, events.ProbeWarning, "%s probe warning: %s", r.Kind, r.Output)
	}
}

// ending has containers no more asked whether they live, since they are about to be
// stopped: the one of an ID, or all.
func (p *probes) ending(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.watched {
		if id == "" || w.id == id {
			w.watch.Ending()
		}
	}
}

// ended has a container that has ended no more asked at all, or all of them. What is known
// of it stays until the worker knows of its end. It may be called from anywhere.
func (p *probes) ended(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.watched {
		if id == "" || w.id == id {
			w.stopped = true
			w.watch.Stop()
		}
	}
}

// failure is why a container that runs must be stopped, nil when it may go on.
func (p *probes) failure(id string) *probe.Failure {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.watched[id]; w != nil {
		return w.watch.State().Failed
	}
	return nil
}

// stopUnhealthy stops the containers of which a probe has failed.
func (w *Worker) stopUnhealthy(s *step) error {
	for _, c := range w.rt().Containers {
		failure := w.probes.failure(c.ID)
		if c.State != cri.ContainerRunning || failure == nil {
			continue
		}
		w.ender.killing(s.pod, c, unhealthy(s.pod, c.Name, failure.Kind))
		if err := w.ender.stopContainer(s, c, probeGrace(s.pod, failure)); err != nil {
			return err
		}
	}
	return nil
}

// unhealthy is the message of the Event about a container of which a probe has failed.
func unhealthy(pod *corev1.Pod, name string, k probe.Kind) string {
	message := name + " failed " + strings.ToLower(k.String()) + " probe"
	for _, c := range lifecycle.Containers(&pod.Spec) {
		switch {
		case c.Spec.Name != name:
		case c.Role == lifecycle.Sidecar:
			return "Init container " + message
		case lifecycle.RestartsUnhealthy(&pod.Spec, c):
			return "Container " + message + ", will be restarted"
		}
	}
	return "Container " + message
}

// probeGrace is how long a container has to end itself of which a probe has failed.
func probeGrace(pod *corev1.Pod, f *probe.Failure) time.Duration {
	if f.Grace != nil && pod.DeletionGracePeriodSeconds == nil {
		return *f.Grace
	}
	return lifecycle.Grace(pod)
}
