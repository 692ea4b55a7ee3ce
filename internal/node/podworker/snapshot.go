package podworker

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/onupdate"
)

// Snapshot is a pod as its worker knows it at one moment. It never changes, with all
// that it leads to: readers keep it as long as they like.
type Snapshot struct {
	// API is the pod as the API has it, or had it last.
	API *corev1.Pod
	// Pod is the same with what the pod is allocated, and with the annotations that it sees
	// of itself.
	Pod *corev1.Pod
	// Gone says that the API has it no more.
	Gone bool
	// Refused is why the pod was not admitted, nil when it was.
	Refused *status.Waiting
	// Runtime is what the pod has on the runtime.
	Runtime lifecycle.Runtime
	// Status was reported last, which the API may not show yet; nil before the first.
	Status *corev1.PodStatus

	// unseen says that the pod was taken over and the runtime not looked at since.
	unseen bool
	// starting are containers whose mounts are made and that do not run yet.
	starting map[string]bool
	// settles is when a container that was restarted after a crash has run for as long
	// as it would have to wait if it crashed again, on the agent's clock.
	settles map[string]time.Time
}

// Unseen tells whether the pod was taken over and it is not known yet what of it runs.
func (s *Snapshot) Unseen() bool { return s.unseen }

// Reported is the pod with its newest status.
func (s *Snapshot) Reported() *corev1.Pod {
	pod := *s.Pod
	if s.Status != nil {
		pod.Status = *s.Status
	}
	return &pod
}

// Running are the containers that run.
func (s *Snapshot) Running() (running []cri.Container) {
	for _, c := range s.Runtime.Containers {
		if c.State == cri.ContainerRunning {
			running = append(running, c)
		}
	}
	return running
}

// Waiting is why a container does not run, as the pod's status says it, in the words
// of log requests; waits is whether it is waiting at all.
func (s *Snapshot) Waiting(container string) (reason string, waits bool) {
	if s.Status == nil {
		return status.ContainerCreating, true
	}
	if c := lifecycle.Reported(s.Status, container); c != nil && c.State.Waiting != nil {
		switch c.State.Waiting.Reason {
		case status.ErrImagePull:
			return "image can't be pulled", true
		case status.ImagePullBackOff:
			return "trying and failing to pull image", true
		}
		return c.State.Waiting.Reason, true
	}
	return status.ContainerCreating, false
}

// ForUpdates is a container as the rules of its pod see it at now, on the agent's
// clock. known is false while nobody can say whether it has seen an update.
func (s *Snapshot) ForUpdates(name string, now time.Time) (c onupdate.Container, known bool) {
	if s.unseen || s.starting[name] {
		return onupdate.Container{}, false
	}
	why, _ := s.Waiting(name)
	newest := s.Runtime.Newest(name)
	if newest == nil {
		return onupdate.Container{Why: why}, true
	}
	c = onupdate.Container{ID: newest.ID, Running: newest.State == cri.ContainerRunning, Why: why}
	if c.Running {
		c.Crashing = now.Before(s.settles[name])
	} else {
		c.Crashing = why == status.CrashLoopBackOff
	}
	return c, true
}
