package workload

import (
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/run"
)

// Written remembers the last writes that were made for each parent, so that nobody decides
// by a cache that has yet to see them: it would make pods twice. It may be used by several
// goroutines.
type Written struct {
	caches map[string]Cache // by kind
	mu     sync.Mutex
	of     map[types.UID]*writes // by parent
}

// writes are those for one parent, by kind.
type writes struct {
	last    map[string]string                         // resource versions
	deleted map[string]map[cache.ObjectName]types.UID // what was deleted, and may still be there
	gone    map[string]map[cache.ObjectName]types.UID // what is there no more
}

// Cache is a store that tells up to which resource version it is filled, such as that of
// an informer.
type Cache interface {
	LastStoreSyncResourceVersion() string
	GetByKey(key string) (obj any, exists bool, err error)
}

// NewWritten remembers writes to the kinds of these caches; a kind's name is the
// caller's.
func NewWritten(caches map[string]Cache) *Written {
	return &Written{caches: caches, of: map[types.UID]*writes{}}
}

// Wrote notes an object as it was stored for a parent. One that the write has ended, since
// it was being deleted and this took its last finalizer, is noted as gone: the server
// answers with the version that it had before.
func (w *Written) Wrote(parent types.UID, kind string, stored metav1.Object) {
	if isEnded(stored) {
		w.Gone(parent, kind, stored)
		return
	}
	version := stored.GetResourceVersion()
	if version == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if of := w.writes(parent); older(of.last[kind], version) {
		of.last[kind] = version
	}
}

// Deleted notes that an object was deleted for a parent, or is being.
func (w *Written) Deleted(parent types.UID, kind string, obj metav1.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	note(w.writes(parent).deleted, kind, obj)
}

// Gone notes that an object of a parent is there no more.
func (w *Written) Gone(parent types.UID, kind string, obj metav1.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	note(w.writes(parent).gone, kind, obj)
}

func note(of map[string]map[cache.ObjectName]types.UID, kind string, obj metav1.Object) {
	if of[kind] == nil {
		of[kind] = map[cache.ObjectName]types.UID{}
	}
	of[kind][cache.MetaObjectToName(obj)] = obj.GetUID()
}

// isEnded tells of an object as it was stored whether the server removed it with that.
func isEnded(stored metav1.Object) bool {
	grace := stored.GetDeletionGracePeriodSeconds()
	return stored.GetDeletionTimestamp() != nil && len(stored.GetFinalizers()) == 0 && (grace == nil || *grace == 0)
}

func (w *Written) writes(parent types.UID) *writes {
	of := w.of[parent]
	if of == nil {
		of = &writes{
			last:    map[string]string{},
			deleted: map[string]map[cache.ObjectName]types.UID{}, gone: map[string]map[cache.ObjectName]types.UID{},
		}
		w.of[parent] = of
	}
	return of
}

// Unseen returns an error while a cache has yet to see what was written for a parent: the
// parent is to be looked at again later.
func (w *Written) Unseen(parent types.UID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	of := w.of[parent]
	if of == nil {
		return nil
	}
	for kind, version := range of.last {
		// A cache that is not of a server, such as one of a test, has no version.
		if now := w.caches[kind].LastStoreSyncResourceVersion(); now != "" && older(now, version) {
			return fmt.Errorf("the cache of %s is at version %q and has yet to see %s, which was written for this object", kind, now, version)
		}
	}
	for kind, all := range of.deleted {
		for name, uid := range all {
			if o := find(w.caches[kind], name, uid); o != nil && o.GetDeletionTimestamp() == nil {
				return fmt.Errorf("the cache of %s has yet to see that %s was deleted for this object", kind, name)
			}
		}
	}
	for kind, all := range of.gone {
		for name, uid := range all {
			if find(w.caches[kind], name, uid) != nil {
				return fmt.Errorf("the cache of %s has yet to see that %s, which was this object's, is gone", kind, name)
			}
		}
	}
	delete(w.of, parent)
	return nil
}

// find returns this very object as a cache has it, nil where it has it not.
func find(c Cache, name cache.ObjectName, uid types.UID) metav1.Object {
	obj, exists, err := c.GetByKey(name.String())
	o, ok := obj.(metav1.Object)
	if err != nil || !exists || !ok || o.GetUID() != uid {
		return nil
	}
	return o
}

// Forget forgets a parent that is gone.
func (w *Written) Forget(parent types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.of, parent)
}

// Parents are handlers for the informer of parents: changed is called for one that came or
// changed, and one that is gone, or has another of its name in its place, is forgotten.
func (w *Written) Parents(changed func(obj any)) cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: changed,
		UpdateFunc: func(before, now any) {
			was, ok := before.(metav1.Object)
			is, okToo := now.(metav1.Object)
			if ok && okToo && was.GetUID() != is.GetUID() {
				w.Forget(was.GetUID())
			}
			changed(now)
		},
		DeleteFunc: func(obj any) {
			if o, ok := run.Last[metav1.Object](obj); ok {
				w.Forget(o.GetUID())
			}
		},
	}
}

// older tells whether version a comes before b. One that cannot be read does, so that
// whoever waits is on the safe side.
func older(a, b string) bool {
	if a == "" || a == b {
		return a != b
	}
	n, err := resourceversion.CompareResourceVersion(a, b)
	return err != nil || n < 0
}
