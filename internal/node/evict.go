package node

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
)

const (
	// evictionGrace is how long the containers of a pod that took too much may go on.
	evictionGrace = time.Second
	// systemCritical is the lowest priority of pods that are never evicted.
	systemCritical = 2_000_000_000
)

// evict has a pod ended for good because it took more than its share.
func (a *Agent) evict(pod *corev1.Pod, message string) {
	if pod.Spec.Priority != nil && *pod.Spec.Priority >= systemCritical {
		a.cfg.Log.Warn("a critical pod is not evicted", "namespace", pod.Namespace, "pod", pod.Name, "reason", message)
		return
	}
	if w := a.worker(pod.UID); w != nil {
		w.evict(message)
	}
}

func (w *worker) evict(message string) {
	w.mu.Lock()
	first := w.tooMuch == ""
	if first {
		w.tooMuch = message
	}
	w.mu.Unlock()
	if first {
		w.signal()
	}
}

// verdict is why a pod must end although its containers have not.
type verdict struct {
	status.Waiting
	eventType string
	grace     time.Duration
}

// evicted returns why the pod is to be evicted, nil when it is not.
func (w *worker) evicted() *verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tooMuch == "" {
		return nil
	}
	return &verdict{status.Waiting{Reason: events.Evicted, Message: w.tooMuch}, corev1.EventTypeWarning, evictionGrace}
}

// outlived is the end of a pod whose time is over.
func outlived(pod *corev1.Pod) *verdict {
	const message = "Pod was active on the node longer than the specified deadline"
	return &verdict{status.Waiting{Reason: events.Deadline, Message: message}, corev1.EventTypeNormal, lifecycle.Grace(pod)}
}
