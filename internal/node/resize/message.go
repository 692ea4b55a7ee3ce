package resize

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/podfields"
)

// summary is what an Event about a resize says, in the form of upstream.
type summary struct {
	InitContainers []amount `json:"initContainers,omitempty"`
	Containers     []amount `json:"containers,omitempty"`
	Generation     int64    `json:"generation"`
	Error          string   `json:"error,omitempty"`
}

type amount struct {
	Name      string                      `json:"name"`
	Resources corev1.ResourceRequirements `json:"resources,omitempty"`
}

// maxSummary bounds what an Event says of the resources, in bytes: a pod may have as many
// containers as its user likes.
const maxSummary = 16 << 10

// event records what became of a resize to what the spec of pod has.
func (l *Ledger) event(pod *corev1.Pod, eventType, reason, what string, generation int64, problem string) {
	s := summary{Generation: generation, Error: problem}
	for at, c := range podfields.DeclaredContainers(&pod.Spec) {
		a := amount{c.Name, c.Resources}
		if at.List == podfields.Init {
			s.InitContainers = append(s.InitContainers, a)
		} else {
			s.Containers = append(s.Containers, a)
		}
	}
	message := "Pod resize " + what
	if raw, err := json.Marshal(s); err == nil && len(raw) <= maxSummary {
		message += ": " + string(raw)
	}
	l.cfg.Events.Event(events.Pod(pod), eventType, reason, message)
}
