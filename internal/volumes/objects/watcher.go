package objects

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"laterna.dev/laterna/internal/wait"
)

const (
	// steadyAfter is how long a watch must have lasted for the next one to begin
	// without a pause.
	steadyAfter = 5 * time.Second
	// quietTries is how many failures go by before the first answer is an error: a
	// server may see a new pod, and with it the node's right to read the object, a
	// moment after the agent does.
	quietTries = 4
	// mostRefusals is how often a server is asked for a service account that it does not
	// let the node follow: a stock kube-apiserver never does.
	mostRefusals = 20
)

var retries = wait.Backoff{First: 10 * time.Millisecond, Most: time.Second}

// watcher follows one object for its entry: list, watch, and again from there
// whatever happens to the API server.
type watcher struct {
	cache  *Cache
	entry  *entry
	source source

	version string // of the last answer; "" asks for a new list
	tries   int    // failures since the last success
}

func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := w.follow(ctx)
		if err != nil && ctx.Err() == nil {
			w.cache.log.Debug("watching an object was interrupted", "object", w.entry.key, "error", err)
		}
		if w.entry.key.Kind == ServiceAccount && apierrors.IsForbidden(err) && w.tries >= mostRefusals {
			w.cache.log.Info("the server does not let nodes follow service accounts: tokens of one that is made anew are replaced at 80 % of their life", "object", w.entry.key)
			return
		}
		w.pause(ctx)
	}
}

// follow lists where needed and then hands on events until the watch ends.
func (w *watcher) follow(ctx context.Context) error {
	if w.version == "" {
		object, version, err := w.source.list(ctx, w.entry.key)
		if err != nil {
			w.failed(ctx, err)
			return err
		}
		w.version = version
		w.found(object)
	}
	began := w.cache.clock.Now()
	stream, err := w.source.watch(ctx, w.entry.key, w.version)
	if err != nil {
		w.tries, w.version = w.tries+1, ""
		return err
	}
	defer stream.Stop()
	err = w.drain(ctx, stream)
	if err != nil {
		w.version = ""
	}
	if w.tries++; err == nil && w.cache.clock.Since(began) >= steadyAfter {
		w.tries = 0
	}
	return err
}

// drain hands on events until the stream ends, which is no error: servers end
// watches now and then.
func (w *watcher) drain(ctx context.Context, stream watch.Interface) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-stream.ResultChan():
			if !ok {
				return nil
			}
			if err := w.event(event); err != nil {
				return err
			}
		}
	}
}

func (w *watcher) event(event watch.Event) error {
	if event.Type == watch.Error {
		return apierrors.FromObject(event.Object)
	}
	object, ok := event.Object.(metav1.Object)
	if !ok {
		return nil
	}
	if event.Type == watch.Bookmark || object.GetName() == w.entry.key.Name {
		w.version = object.GetResourceVersion()
	}
	if object.GetName() != w.entry.key.Name {
		return nil
	}
	switch event.Type {
	case watch.Added, watch.Modified:
		w.found(object)
	case watch.Deleted:
		w.found(nil)
	}
	return nil
}

// found hands on the object, or that there is none.
func (w *watcher) found(object metav1.Object) {
	key := w.entry.key
	if object == nil {
		w.cache.answer(w.entry, nil, apierrors.NewNotFound(corev1.Resource(string(key.Kind)), key.Name))
		return
	}
	object.SetManagedFields(nil) // nobody here reads them, and they are large
	w.cache.answer(w.entry, object, nil)
}

// failed makes an error the answer only while there is no better one: an object, or
// the knowledge that there is none.
func (w *watcher) failed(ctx context.Context, err error) {
	w.tries++
	object, last, known := w.cache.peek(w.entry)
	better := object != nil || apierrors.IsNotFound(last)
	if ctx.Err() == nil && !better && (known || w.tries >= quietTries) {
		w.cache.answer(w.entry, nil, err)
	}
}

// pause waits before the next try: not at all after a long watch, else longer with
// every failure, up to a second, spread so that many watchers do not come at once.
func (w *watcher) pause(ctx context.Context) {
	wait.Pause(ctx, w.cache.clock, wait.Spread(retries.After(w.tries), 2))
}
