// Package follow keeps up with one object of the API by its name: it reads it, watches it
// from there, and begins again when the watch ends.
//
// It owns the order of these steps, which lets no change pass unseen, and how long it pauses
// between two tries. How to reach the API is the caller's, who hands in list and watch of
// the collection; collections and caches are client-go's informers, the objects that pods
// refer to internal/volumes/objects'.
package follow

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"laterna.dev/laterna/internal/wait"
)

// Pause is that before a watch that has ended, or an attempt that has failed, is begun
// again.
const Pause = time.Second

// ErrEnded is what Next returns when the server has ended the watch.
var ErrEnded = errors.New("the watch ended")

// Of is a type of objects.
type Of interface {
	runtime.Object
	metav1.Object
}

// Object is the object to follow. All fields are required; nothing is changed in use.
type Object[T Of] struct {
	Name string
	// List and Watch are those of the collection that it is in. They are given a field
	// selector of the name; a server that does not heed it does no harm.
	List  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	Watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
}

func (o Object[T]) options() metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, o.Name).String()}
}

// Read returns the object and the version of the whole store that it was read at: that of
// the object alone is soon too old to watch from. The version is good, too, where there is
// no such object.
func (o Object[T]) Read(ctx context.Context) (object T, version string, found bool, err error) {
	list, err := o.List(ctx, o.options())
	if err != nil {
		return object, "", false, err
	}
	of, err := meta.ListAccessor(list)
	if err != nil {
		return object, "", false, fmt.Errorf("listing %s: %w", o.Name, err)
	}
	err = meta.EachListItem(list, func(item runtime.Object) error {
		if one, ok := item.(T); ok && one.GetName() == o.Name {
			object, found = one, true
		}
		return nil
	})
	return object, of.GetResourceVersion(), found, err
}

// From watches the object for what comes after version. The caller stops the watch.
func (o Object[T]) From(ctx context.Context, version string) (*Watch[T], error) {
	options := o.options()
	options.ResourceVersion = version
	w, err := o.Watch(ctx, options)
	if err != nil {
		return nil, err
	}
	return &Watch[T]{name: o.Name, watch: w}, nil
}

// Watch is a watch of an object. It is used by one goroutine.
type Watch[T Of] struct {
	name  string
	watch watch.Interface
}

// Stop ends the watch.
func (w *Watch[T]) Stop() { w.watch.Stop() }

// Next waits for the next change. It fails with ErrEnded when the watch has ended, with
// what the server says, or with what ended ctx.
func (w *Watch[T]) Next(ctx context.Context) (object T, deleted bool, err error) {
	for {
		select {
		case event, ok := <-w.watch.ResultChan():
			switch {
			case !ok:
				return object, false, ErrEnded
			case event.Type == watch.Error:
				return object, false, apierrors.FromObject(event.Object)
			}
			if shared, ok := event.Object.(runtime.CacheableObject); ok { // as a watch cache sends them
				event.Object = shared.GetObject()
			}
			if one, ok := event.Object.(T); ok && event.Type != watch.Bookmark && one.GetName() == w.name {
				return one, event.Type == watch.Deleted, nil
			}
		case <-ctx.Done():
			return object, false, ctx.Err()
		}
	}
}

// Handler is told of the object, from one goroutine. What it fails with ends the watch,
// and is followed by a new one after Pause.
type Handler[T Of] struct {
	// Seen is given the object as it is, at the beginning and after every change.
	Seen func(context.Context, T) error
	// Missing is told that there is no such object, at the beginning or any more. One that
	// it makes is seen. Optional.
	Missing func(context.Context) error
	// Failed is told why following has failed, and whether to go on is what it returns.
	Failed func(error) (goOn bool)
}

// Run follows the object until ctx ends, or Failed does not want to go on. It pauses between
// two watches, so that a server that ends them at once is not flooded.
func (o Object[T]) Run(ctx context.Context, clk wait.Timers, h Handler[T]) {
	for ctx.Err() == nil {
		err := o.once(ctx, h)
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrEnded) && !h.Failed(err) {
			return
		}
		wait.Pause(ctx, clk, Pause)
	}
}

// once reads the object and watches it until the watch ends. The watch begins before the
// handler is told, who may write.
func (o Object[T]) once(ctx context.Context, h Handler[T]) error {
	object, version, found, err := o.Read(ctx)
	if err != nil {
		return err
	}
	w, err := o.From(ctx, version)
	if err != nil {
		return err
	}
	defer w.Stop()
	for err == nil {
		if err = h.tell(ctx, object, found); err != nil {
			return err
		}
		var deleted bool
		object, deleted, err = w.Next(ctx)
		found = !deleted
	}
	return err
}

func (h Handler[T]) tell(ctx context.Context, object T, found bool) error {
	switch {
	case found:
		return h.Seen(ctx, object)
	case h.Missing != nil:
		return h.Missing(ctx)
	}
	return nil
}
