package run

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
)

// remembered is of how many objects a controller knows for a while which events it recorded of
// them last, to write the next like it into the same. The library would remember eight times
// as many, each controller on its own, and of objects that are long gone.
const remembered = 512

// recorder is a record.EventRecorder that begins with its first event: the library's takes
// a hundred kilobytes and four goroutines, and most controllers of an idle system have
// nothing to tell.
type recorder struct {
	ctx    context.Context
	client typedcorev1.EventsGetter
	source corev1.EventSource

	once        sync.Once
	broadcaster record.EventBroadcaster
	record      record.EventRecorder
}

// begun returns the library's recorder, nil after the end.
func (r *recorder) begun() record.EventRecorder {
	r.once.Do(func() {
		r.broadcaster = record.NewBroadcaster(record.WithContext(r.ctx), record.WithCorrelatorOptions(record.CorrelatorOptions{LRUCacheSize: remembered}))
		r.broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: r.client.Events("")})
		r.record = r.broadcaster.NewRecorder(scheme.Scheme, r.source)
	})
	return r.record
}

// end is called once. What would be recorded later is not.
func (r *recorder) end() {
	r.once.Do(func() {})
	if r.broadcaster != nil {
		r.broadcaster.Shutdown()
	}
}

// Event implements record.EventRecorder.
func (r *recorder) Event(object runtime.Object, kind, reason, message string) {
	if to := r.begun(); to != nil {
		to.Event(object, kind, reason, message)
	}
}

// Eventf implements record.EventRecorder.
func (r *recorder) Eventf(object runtime.Object, kind, reason, format string, args ...any) {
	if to := r.begun(); to != nil {
		to.Eventf(object, kind, reason, format, args...)
	}
}

// AnnotatedEventf implements record.EventRecorder.
func (r *recorder) AnnotatedEventf(object runtime.Object, annotations map[string]string, kind, reason, format string, args ...any) {
	if to := r.begun(); to != nil {
		to.AnnotatedEventf(object, annotations, kind, reason, format, args...)
	}
}
