package queue

import (
	"context"
	"fmt"

	"k8s.io/client-go/tools/cache"
)

// Watches are the informers that bring a controller its news. Purpose completes
// "watching …" in errors. It is filled before the informers start.
type Watches struct {
	Purpose string

	synced []cache.DoneChecker
	err    error
}

// Add calls handler for what informer sees. An error is kept for Err.
func (w *Watches) Add(informer cache.SharedIndexInformer, handler cache.ResourceEventHandler) {
	handle, err := informer.AddEventHandler(handler)
	if err != nil {
		w.Fail(fmt.Errorf("watching %s: %w", w.Purpose, err))
		return
	}
	w.synced = append(w.synced, handle.HasSyncedChecker())
}

// Fail keeps an error of the preparation for Err.
func (w *Watches) Fail(err error) { w.err = err }

// Err is what kept the informers from being watched.
func (w *Watches) Err() error { return w.err }

// Wait returns true once the handlers have seen what is there, or false when ctx
// ends before.
func (w *Watches) Wait(ctx context.Context) bool { return cache.WaitFor(ctx, "", w.synced...) }
