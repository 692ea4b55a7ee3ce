package node

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/node/inventory"
	"laterna.dev/laterna/internal/node/logs"
	"laterna.dev/laterna/internal/node/podworker"
	"laterna.dev/laterna/internal/runtime/cri"
)

// adopt takes over what an earlier process left running: pods that the API still
// has go on as they are, everything else is ended. From here on workers run.
func (a *Agent) adopt(ctx context.Context, rt *runtime) error {
	found, err := rt.inventory.Look(ctx)
	if err != nil {
		return fmt.Errorf("looking for containers to take over: %w", err)
	}
	a.pods.mu.Lock()
	var adopted []*corev1.Pod
	for uid, f := range found {
		if pod, ok := a.pods.waiting[uid]; ok {
			a.resizes.Add(pod)
			adopted = append(adopted, podworker.WithAnnotations(a.resizes.View(pod), a.seen(f.Seen)))
		}
	}
	a.pods.mu.Unlock()
	for _, pod := range adopted {
		a.updates.Adopt(pod)
	}
	a.volumes.Adopt(adopted)
	for _, pod := range adopted {
		a.projections.Add(pod)
	}

	a.pods.mu.Lock()
	defer a.pods.mu.Unlock()
	a.pods.ctx, a.pods.deps = ctx, a.workerDeps(rt)
	// Those that were admitted before come first: they keep what others may ask for.
	isNew := func(p *corev1.Pod) int { return map[bool]int{true: 1}[p.Status.StartTime == nil] }
	for _, pod := range slices.SortedFunc(maps.Values(a.pods.waiting), func(x, y *corev1.Pod) int { return isNew(x) - isNew(y) }) {
		uid := pod.UID
		f, ok := found[uid]
		a.pods.start(pod, podworker.Origin{Seen: a.seen(f.Seen), OnRuntime: ok, Restarting: a.updates.Restarting(uid), Refused: a.admit(ctx, pod)})
	}
	a.pods.waiting = nil
	a.pods.resume(a.resizes)
	for uid, f := range found {
		a.orphan(uid, f.NamespacedName)
	}
	left, err := a.volumes.Orphans()
	if err != nil {
		a.cfg.Log.Warn("left volumes not listed", "error", err)
	}
	for _, uid := range left {
		a.orphan(uid, types.NamespacedName{})
	}
	if err := logs.Retain(a.logs, func(uid string) bool { return a.pods.byUID[types.UID(uid)] != nil }); err != nil {
		a.cfg.Log.Warn("logs of pods that nobody has are left", "error", err)
	}
	if len(found) > 0 {
		a.cfg.Log.Info("containers taken over", "pods", len(adopted), "orphans", len(found)-len(adopted))
	}
	return nil
}

// orphan ends a pod that the API does not have, unless a worker has it. It is
// called with mu held.
func (a *Agent) orphan(uid types.UID, name types.NamespacedName) {
	if _, ok := a.pods.byUID[uid]; ok {
		return
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name, UID: uid}}
	a.pods.start(pod, podworker.Origin{Gone: true, OnRuntime: true})
}

// runtimeEvent tells the worker of a pod what happened to its containers.
func (a *Agent) runtimeEvent(uid types.UID, e cri.Event) {
	if w := a.pods.of(uid); w != nil {
		w.RuntimeEvent(e)
	}
}

// runtimeChanged wakes the worker of a pod that changed on the runtime.
func (a *Agent) runtimeChanged(uid types.UID, f inventory.Pod) {
	a.pods.mu.Lock()
	defer a.pods.mu.Unlock()
	if w, ok := a.pods.byUID[uid]; ok {
		w.Kick()
		return
	}
	if f.Name != "" { // it is still there
		a.orphan(uid, f.NamespacedName)
	}
}

// imagesChanged has pods look again for images that they wait for: one may have been
// imported.
func (a *Agent) imagesChanged() {
	a.registrar.Changed()
	a.pods.mu.Lock()
	defer a.pods.mu.Unlock()
	for _, w := range a.pods.byUID {
		w.Poke()
	}
}

// seen is when a pod was first seen: known from its sandbox, or now.
func (a *Agent) seen(known string) string {
	if known != "" {
		return known
	}
	return a.cfg.Wall.Now().Format(time.RFC3339Nano)
}
