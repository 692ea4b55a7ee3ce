package node

import (
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/eviction"
)

// newKeeper makes what keeps the machine's memory from being used up.
func (a *Agent) newKeeper() *eviction.Keeper {
	return eviction.New(eviction.Config{
		Settings: a.cfg.Eviction, Machine: a.cfg.Machine,
		Pods:    func() []eviction.Pod { return eviction.PodsOf(a.pods.all()) },
		Changed: func() { a.registrar.Changed() },
		Reclaiming: func(name corev1.ResourceName) {
			a.recorder.Eventf(events.Node(a.cfg.NodeName), corev1.EventTypeWarning, events.ThresholdMet, "Attempting to reclaim %s", name)
		},
		Wall: a.cfg.Wall, Log: a.cfg.Log,
	})
}
