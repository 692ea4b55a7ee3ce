package apiservice

import (
	"fmt"
	"strconv"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// watcher sees what changes until it is stopped, or is so slow that it misses something: it
// ends then, and its client begins anew.
type watcher struct {
	book    *Book
	selects func(*service) bool
	events  chan watch.Event
	end     sync.Once
}

var _ watch.Interface = &watcher{}

// room is how many events may wait for a client.
const room = 100

// watch begins a watch after a revision; at "", "0" and where the client asks for initial
// events it begins with all objects that there are.
func (b *Book) watch(o *metainternal.ListOptions, selects func(*service) bool) (watch.Interface, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first, err := b.since(o, selects)
	if err != nil {
		return nil, err
	}
	w := &watcher{book: b, selects: selects, events: make(chan watch.Event, len(first)+room)}
	for _, e := range first {
		w.events <- e
	}
	b.watchers[w] = true
	return w, nil
}

// since returns the events with which a watch begins, for holders of mu.
func (b *Book) since(o *metainternal.ListOptions, selects func(*service) bool) (events []watch.Event, err error) {
	whole := o.SendInitialEvents != nil && *o.SendInitialEvents
	if whole || o.SendInitialEvents == nil && (o.ResourceVersion == "" || o.ResourceVersion == "0") {
		for _, s := range b.sorted() {
			if selects(s) {
				events = append(events, watch.Event{Type: watch.Added, Object: s})
			}
		}
		if whole && o.AllowWatchBookmarks {
			events = append(events, watch.Event{Type: watch.Bookmark, Object: &service{ObjectMeta: metav1.ObjectMeta{
				ResourceVersion: strconv.FormatInt(b.revision, 10), Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"},
			}}})
		}
		return events, nil
	}
	if o.ResourceVersion == "" || o.ResourceVersion == "0" {
		return nil, nil
	}
	from, err := strconv.ParseInt(o.ResourceVersion, 10, 64)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid resource version %q", o.ResourceVersion))
	}
	oldest := b.begun
	if len(b.changes) == remembered {
		oldest = b.changes[0].revision - 1
	}
	if from < oldest || from > b.revision {
		return nil, apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", from, b.revision))
	}
	for _, c := range b.changes {
		if s, ok := c.event.Object.(*service); ok && c.revision > from && selects(s) {
			events = append(events, watch.Event{Type: c.event.Type, Object: s.DeepCopy()})
		}
	}
	return events, nil
}

// send sends an event, for holders of the book's mu.
func (w *watcher) send(e watch.Event) {
	s, ok := e.Object.(*service)
	if !ok || !w.selects(s) {
		return
	}
	select {
	case w.events <- watch.Event{Type: e.Type, Object: s.DeepCopy()}:
	default:
		w.stop()
	}
}

// stop ends the watch, for holders of the book's mu.
func (w *watcher) stop() {
	w.end.Do(func() {
		delete(w.book.watchers, w)
		close(w.events)
	})
}

// Stop implements watch.Interface.
func (w *watcher) Stop() {
	w.book.mu.Lock()
	defer w.book.mu.Unlock()
	w.stop()
}

// ResultChan implements watch.Interface.
func (w *watcher) ResultChan() <-chan watch.Event { return w.events }
