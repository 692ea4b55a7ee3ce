package signingkey

import (
	"context"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/util/flowcontrol"

	"laterna.dev/laterna/api/identity/v1alpha1"
	"laterna.dev/laterna/internal/registry/resource"
)

// watcher sends what changes in the ring, compared with what it sent before.
type watcher struct {
	storage *storage
	proxy   *watch.ProxyWatcher
	events  chan watch.Event
	want    func(*object) bool
	known   map[string]*object
}

// Watch implements rest.Watcher. A watch begins with what there is now, or after the
// version of now; states of the past are not kept, and those who ask for what came after
// them are sent to list again.
func (s *storage) Watch(ctx context.Context, options *internalversion.ListOptions) (watch.Interface, error) {
	changed, cancel := s.ring.Subscribe()
	all, err := s.read(ctx, options.ResourceVersion)
	if err != nil {
		cancel()
		return nil, err
	}
	initial := options.ResourceVersion == "" || options.ResourceVersion == "0"
	if options.SendInitialEvents != nil {
		initial = *options.SendInitialEvents
	} else if !initial && options.ResourceVersion != all.ResourceVersion {
		cancel()
		return nil, gone(options.ResourceVersion)
	}
	w := &watcher{storage: s, events: make(chan watch.Event), want: resource.Selects[*object](options), known: map[string]*object{}}
	w.proxy = watch.NewProxyWatcher(w.events)
	bookmark := initial && options.SendInitialEvents != nil && options.AllowWatchBookmarks
	go func() {
		defer close(w.events)
		defer cancel()
		w.run(ctx, all, initial, bookmark, changed)
	}()
	flowcontrol.WatchInitialized(ctx) // what follows takes no seat from others
	return w.proxy, nil
}

func (w *watcher) run(ctx context.Context, all *v1alpha1.SigningKeyList, initial, bookmark bool, changed <-chan struct{}) {
	events := w.compare(all)
	if !initial {
		events = nil
	}
	if bookmark {
		end := &object{ObjectMeta: metav1.ObjectMeta{
			ResourceVersion: all.ResourceVersion,
			Annotations:     map[string]string{metav1.InitialEventsAnnotationKey: "true"},
		}}
		events = append(events, watch.Event{Type: watch.Bookmark, Object: end})
	}
	for {
		for _, e := range events {
			select {
			case w.events <- e:
			case <-w.proxy.StopChan():
				return
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-changed:
		case <-w.proxy.StopChan():
			return
		case <-ctx.Done():
			return
		}
		now, err := w.storage.read(ctx, "0")
		if err != nil {
			events = []watch.Event{{Type: watch.Error, Object: statusOf(err)}}
			continue
		}
		events = w.compare(now)
	}
}

func statusOf(err error) *metav1.Status {
	status := apierrors.NewInternalError(err).Status()
	return &status
}

// compare returns what is different from what is known, and takes it over.
func (w *watcher) compare(now *v1alpha1.SigningKeyList) []watch.Event {
	var events []watch.Event
	seen := map[string]bool{}
	for i := range now.Items {
		k := &now.Items[i]
		if !w.want(k) {
			continue
		}
		seen[k.Name] = true
		switch old := w.known[k.Name]; {
		case old == nil:
			events = append(events, watch.Event{Type: watch.Added, Object: k})
		case !apiequality.Semantic.DeepEqual(old.Status, k.Status):
			events = append(events, watch.Event{Type: watch.Modified, Object: k})
		}
		w.known[k.Name] = k
	}
	for name, k := range w.known {
		if !seen[name] {
			delete(w.known, name)
			last := k.DeepCopy()
			last.ResourceVersion = now.ResourceVersion
			events = append(events, watch.Event{Type: watch.Deleted, Object: last})
		}
	}
	return events
}
