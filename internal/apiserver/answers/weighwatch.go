package answers

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"laterna.dev/laterna/internal/apiserver/fairshare"
	"laterna.dev/laterna/internal/clock"
)

const (
	// eventBytes is what the watch cache holds for an object that a watch begins with,
	// besides the object.
	eventBytes = 192
	// eventTimes is how often an event is there while it is encoded and written.
	eventTimes = 5
	// eventsAhead is how many events are handed on before the client has read them,
	// besides those in the watch cache's own queue.
	eventsAhead = 4
	// beginning is how long no event comes once a watch has had the objects that it
	// begins with: the watch cache hands them on without a pause.
	beginning = time.Second
)

// weighedWatch is a watch whose events wait at the gate of its request before they are
// encoded. The objects that a watch begins with are encoded for it alone, and what
// its client does not read is held until it does; events that come later share one
// encoding and do not wait.
type weighedWatch struct {
	watch.Interface
	visit  *fairshare.Visit
	events chan watch.Event
	done   chan struct{}
	stop   sync.Once

	mu sync.Mutex
	// first is how many objects are still to come that the watch begins with, encoding
	// how many bytes the event holds that is encoded.
	first, encoding int64
}

// weighEvents takes over w, which begins with at most that many objects.
func weighEvents(ctx context.Context, w watch.Interface, visit *fairshare.Visit, first int64, c clock.Wall) watch.Interface {
	ww := &weighedWatch{Interface: w, visit: visit, events: make(chan watch.Event, eventsAhead), done: make(chan struct{}), first: first}
	go ww.run(ctx, c)
	return ww
}

// ResultChan implements watch.Interface.
func (w *weighedWatch) ResultChan() <-chan watch.Event { return w.events }

// Stop implements watch.Interface.
func (w *weighedWatch) Stop() {
	w.stop.Do(func() { close(w.done) })
	w.Interface.Stop()
}

// run hands events on until the watch ends, or its request: the library does not stop a
// watch that it finds it cannot serve.
func (w *weighedWatch) run(ctx context.Context, c clock.Wall) {
	defer close(w.events)
	defer w.Interface.Stop()
	for {
		event, ok := w.next(c)
		if !ok {
			return
		}
		_, shared := event.Object.(runtime.CacheableObject)
		object := event.Type == watch.Added || event.Type == watch.Modified || event.Type == watch.Deleted
		if object && !shared {
			event.Object = w.weigh(ctx, event.Object)
		}
		w.count(object && !shared)
		select {
		case w.events <- event:
		case <-w.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

// next returns the next event, and false at the end. What it begins with is over when none
// comes for a while: most of the objects may be others than the watch selects, and its own
// may not change for hours.
func (w *weighedWatch) next(c clock.Wall) (event watch.Event, ok bool) {
	if w.begins() {
		pause := c.NewTimer(beginning)
		defer pause.Stop()
		select {
		case event, ok = <-w.Interface.ResultChan():
			return event, ok
		case <-pause.C():
			w.count(false)
		}
	}
	event, ok = <-w.Interface.ResultChan()
	return event, ok
}

// begins tells whether objects may be still to come that the watch begins with.
func (w *weighedWatch) begins() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.first > 0
}

// count notes an event: the first that does not stand for an object of the beginning
// comes after all that do.
func (w *weighedWatch) count(object bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first == 0 {
		return
	}
	if w.first--; !object {
		w.first = 0
	}
	if w.first == 0 {
		w.visit.Settle(w.encoding)
	}
}

// hold waits until an event may be encoded that takes so many bytes.
func (w *weighedWatch) hold(ctx context.Context, bytes int64) error {
	w.mu.Lock()
	w.encoding = bytes
	all := bytes + w.first*eventBytes
	w.mu.Unlock()
	return w.visit.Hold(ctx, all)
}

// release notes that an event has been written.
func (w *weighedWatch) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.encoding = 0
	w.visit.Settle(w.first * eventBytes)
}

// weigh returns an object that waits before it is encoded, if it is large.
func (w *weighedWatch) weigh(ctx context.Context, o runtime.Object) runtime.Object {
	m, err := meta.Accessor(o)
	bytes := eventTimes * encodedBytes(o, wholeForm, rowBase)
	if err != nil || bytes <= listFree {
		return o
	}
	return &weighedObject{Object: m, object: o, ctx: ctx, watch: w, bytes: bytes}
}

// weighedObject is an object that is encoded once its watch may hold the encoding. It
// implements runtime.CacheableObject, by which the library lets objects say how they
// are encoded.
type weighedObject struct {
	metav1.Object
	object runtime.Object
	ctx    context.Context
	watch  *weighedWatch
	bytes  int64
}

// GetObjectKind and DeepCopyObject implement runtime.Object.
func (o *weighedObject) GetObjectKind() schema.ObjectKind { return o.object.GetObjectKind() }
func (o *weighedObject) DeepCopyObject() runtime.Object   { return o.object.DeepCopyObject() }
func (o *weighedObject) GetObject() runtime.Object        { return o.object }

// CacheEncode implements runtime.CacheableObject. It caches nothing.
func (o *weighedObject) CacheEncode(_ runtime.Identifier, encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	if err := o.watch.hold(o.ctx, o.bytes); err != nil {
		return fmt.Errorf("waiting to encode an object of a watch: %w", err)
	}
	defer o.watch.release()
	return encode(o.object, w)
}
