package node

import (
	"context"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/node/podworker"
)

// workers are the pods of the node, each with its worker.
type workers struct {
	mu    sync.Mutex
	byUID map[types.UID]*podworker.Worker
	// waiting are pods that came before the first worker.
	waiting map[types.UID]*corev1.Pod
	// deps are what workers stand on; nil until pods are taken over.
	deps *podworker.Deps
	ctx  context.Context // of the workers; set with deps
	// running is done when no worker runs.
	running sync.WaitGroup
}

// start begins to run a pod. It is called with mu held.
func (t *workers) start(pod *corev1.Pod, o podworker.Origin) {
	w := podworker.New(t.deps, pod, o)
	t.byUID[pod.UID] = w
	t.running.Go(func() {
		if w.Run(t.ctx) {
			t.forget(pod.UID)
		}
	})
}

// forget drops the worker of a pod that is gone everywhere.
func (t *workers) forget(uid types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byUID, uid)
	t.deps.Resizes.Forget(uid)
	t.deps.Probes.Forget(uid)
}

// begun reports whether pods are run.
func (t *workers) begun() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.deps != nil
}

// of returns the worker of a pod, nil when there is none.
func (t *workers) of(uid types.UID) *podworker.Worker {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byUID[uid]
}

// all are the workers, in no order.
func (t *workers) all() []*podworker.Worker {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Values(t.byUID))
}

// snapshots are the pods as their workers know them, in no order.
func (t *workers) snapshots() []*podworker.Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]*podworker.Snapshot, 0, len(t.byUID))
	for _, w := range t.byUID {
		out = append(out, w.Snapshot())
	}
	return out
}
