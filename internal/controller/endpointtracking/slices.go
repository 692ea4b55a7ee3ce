package endpointtracking

import (
	"errors"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	endpointsliceutil "k8s.io/endpointslice/util"

	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

// settle is how long changes of slices are gathered before their service is looked at.
const settle = time.Second

// Slices returns what queues the service of a slice that somebody else than its manager has
// changed. Tracker knows what the manager itself wrote.
func Slices(manager string, tracker *endpointsliceutil.EndpointSliceTracker, q *queue.Queue) cache.ResourceEventHandler {
	s := follower{manager, tracker, q}
	return cache.ResourceEventHandlerFuncs{AddFunc: s.added, UpdateFunc: s.changed, DeleteFunc: s.gone}
}

// ErrStale is returned while the cache of slices has yet to see what was written.
var ErrStale = errors.New("EndpointSlice informer cache is out of date")

// Of returns the slices of a service that a manager keeps, of the cache: read only.
func Of(all discoverylisters.EndpointSliceLister, namespace, service, manager string) ([]*discoveryv1.EndpointSlice, error) {
	return all.EndpointSlices(namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: manager}))
}

type follower struct {
	manager string
	tracker *endpointsliceutil.EndpointSliceTracker
	queue   *queue.Queue
}

func (s follower) added(obj any) {
	if slice, ok := obj.(*discoveryv1.EndpointSlice); ok && s.manages(slice) && s.tracker.ShouldSync(slice) {
		s.add(slice)
	}
}

func (s follower) changed(oldObj, obj any) {
	old, wasSlice := oldObj.(*discoveryv1.EndpointSlice)
	slice, isSlice := obj.(*discoveryv1.EndpointSlice)
	switch {
	case !wasSlice || !isSlice:
	case old.Labels[discoveryv1.LabelServiceName] != slice.Labels[discoveryv1.LabelServiceName]:
		s.add(old)
		s.add(slice)
	case s.manages(old) != s.manages(slice), s.manages(slice) && s.tracker.ShouldSync(slice):
		s.add(slice)
	}
}

func (s follower) gone(obj any) {
	slice, ok := run.Last[*discoveryv1.EndpointSlice](obj)
	// HandleDeletion tells whether the manager deleted it itself.
	if ok && s.manages(slice) && s.tracker.Has(slice) && !s.tracker.HandleDeletion(slice) {
		s.add(slice)
	}
}

func (s follower) manages(slice *discoveryv1.EndpointSlice) bool {
	return slice.Labels[discoveryv1.LabelManagedBy] == s.manager
}

func (s follower) add(slice *discoveryv1.EndpointSlice) {
	if name := slice.Labels[discoveryv1.LabelServiceName]; name != "" {
		s.queue.AddAfter(slice.Namespace+"/"+name, settle)
	}
}
