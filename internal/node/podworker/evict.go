package podworker

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
)

// evictionGrace is how long the containers of a pod that took too much may go on.
const evictionGrace = time.Second

// verdict is why a pod must end although its containers have not.
type verdict struct {
	status.Waiting
	eventType string
	grace     time.Duration
}

// evicted returns why the pod is to be evicted, nil when it is not.
func (w *Worker) evicted() *verdict {
	message := w.board.evicted()
	if message == "" {
		return nil
	}
	return &verdict{status.Waiting{Reason: events.Evicted, Message: message}, corev1.EventTypeWarning, evictionGrace}
}

// outlived is the end of a pod whose time is over.
func outlived(pod *corev1.Pod) *verdict {
	const message = "Pod was active on the node longer than the specified deadline"
	return &verdict{status.Waiting{Reason: events.Deadline, Message: message}, corev1.EventTypeNormal, lifecycle.Grace(pod)}
}

// makeRoom removes what a pod that has ended keeps on the disk for its logs, where the
// disk is full.
func (w *Worker) makeRoom(s *step) time.Duration {
	if !w.board.roomWanted() || w.emptied {
		return 0
	}
	if err := w.ender.sweep(s.ctx, s.pod); err != nil {
		w.log("what an ended pod has on the full disk is not removed yet", "error", err)
		return again
	}
	w.emptied = true
	return 0
}
