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

// Evict has the pod ended for good because it took more than its share. It returns at
// once.
func (w *Worker) Evict(message string) {
	w.evict(status.Waiting{Reason: events.Evicted, Message: message})
}

// EvictForNode has the pod ended for good because the node is short of something.
func (w *Worker) EvictForNode(message string) {
	w.evict(status.Waiting{Reason: events.Evicted, Message: message, Disruption: true})
}

// EvictForRoom does the same because the disk is full, and has what the pod has on the disk
// removed, its logs too. Without a message, which is for a pod that has ended by itself, only
// that is done.
func (w *Worker) EvictForRoom(message string) {
	w.board.makeRoom()
	if message != "" {
		w.EvictForNode(message)
	}
	w.board.signal()
}

func (w *Worker) evict(why status.Waiting) {
	if w.board.evict(why) {
		w.board.signal()
	}
}

// evicted returns why the pod is to be evicted, nil when it is not.
func (w *Worker) evicted() *verdict {
	why := w.board.evicted()
	if why == nil {
		return nil
	}
	return &verdict{*why, corev1.EventTypeWarning, evictionGrace}
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
