package node

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/node/resize"
)

// openResizes opens what knows what the pods are allocated.
func (a *Agent) openResizes(ctx context.Context, rt *runtime) (err error) {
	a.resizes, err = resize.Open(resize.Config{
		Root: a.cfg.Root, Runtime: rt.client, Groups: a.cfg.Groups, Memory: a.registrar.Facts().Memory,
		Refuse: func(pod *corev1.Pod) (reason, message string) {
			if why := a.refusal(ctx, pod); why != nil {
				return why.Reason, why.Message
			}
			return "", ""
		},
		Events: a.recorder, Wall: a.cfg.Wall, Log: a.cfg.Log,
	})
	return err
}

// resume considers all pods that were taken over: some may have been asked to change
// meanwhile. It is called with mu held.
func (t *workers) resume(l *resize.Ledger) {
	l.Retain(func(uid types.UID) bool { return t.byUID[uid] != nil })
	for _, w := range t.byUID {
		l.Consider(w.Snapshot().API)
		w.Update(w.Snapshot().API)
	}
}

// retry considers the pods that wait for room again.
func (t *workers) retry(l *resize.Ledger) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var pods []*corev1.Pod
	for _, w := range t.byUID {
		pods = append(pods, w.Snapshot().API)
	}
	for _, pod := range l.Retry(pods) {
		t.byUID[pod.UID].Update(pod)
	}
}
