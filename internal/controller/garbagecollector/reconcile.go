package garbagecollector

import (
	"context"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var (
	// errUnknownKind is of a reference to a kind that nobody serves. Nothing is known of
	// the owner, so what refers to it stays.
	errUnknownKind = errors.New("no such kind is served")
	// errNamespacedOwner is of an object without a namespace whose owner has one: which
	// object is meant cannot be known, and the reference holds it for ever.
	errNamespacedOwner = errors.New("objects without a namespace cannot be owned by one with")
)

// objects reads and writes objects of all kinds; see cluster.
type objects interface {
	// get returns an object as the store has it. Its error may be errUnknownKind.
	get(ctx context.Context, i identity) (*metav1.PartialObjectMetadata, error)
	// namespaced tells whether objects of a kind have a namespace.
	namespaced(apiVersion, kind string) (bool, error)
	// remove deletes the object as it was read.
	remove(ctx context.Context, i identity, read *metav1.PartialObjectMetadata, policy metav1.DeletionPropagation) error
	// release takes references to owners away from an object.
	release(ctx context.Context, i identity, owners []types.UID) error
	// unblock lets the owners of an object be deleted before it.
	unblock(ctx context.Context, i identity, read *metav1.PartialObjectMetadata) error
	// finish takes a finalizer away from an object.
	finish(ctx context.Context, i identity, finalizer string) error
}

// reconciler works on one object at a time.
type reconciler struct {
	graph   *graph
	objects objects
	// wake has objects looked at.
	wake func(due)
	// foreign tells of a reference to an owner in another namespace.
	foreign func(dependent identity, owner metav1.OwnerReference)
}

// releasing is how many dependents of one owner are released at a time.
const releasing = 20

// collect deletes an object if its owners are gone, or takes one that waits for the end
// of what it owns a step further. again asks for another look later.
func (r reconciler) collect(ctx context.Context, uid types.UID) (again bool, err error) {
	v, ok := r.graph.look(uid)
	switch {
	case !ok, v.ending && !v.foreground:
		return false, nil
	case v.foreground && !v.virtual:
		return false, r.await(ctx, v)
	}
	live, err := r.objects.get(ctx, v.identity)
	switch {
	case errors.Is(err, errUnknownKind):
		r.graph.park(uid)
		return false, nil
	case apierrors.IsNotFound(err), err == nil && live.UID != uid:
		r.wake(r.graph.missing(v.identity))
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading %s: %w", v.identity, err)
	}
	for _, ref := range v.foreign {
		r.foreign(v.identity, ref)
	}
	// What no watch has shown yet is looked at again: one that came and went while a watch
	// was interrupted would stay in the graph for ever.
	if len(live.OwnerReferences) == 0 || live.DeletionTimestamp != nil {
		return v.virtual, nil
	}
	return v.virtual, r.judge(ctx, v, live)
}

// judge does what becomes of an object with owners.
func (r reconciler) judge(ctx context.Context, v view, live *metav1.PartialObjectMetadata) error {
	refs, err := r.classify(ctx, v.identity, live.OwnerReferences)
	switch {
	case errors.Is(err, errUnknownKind):
		r.graph.park(v.uid)
		return nil
	case errors.Is(err, errNamespacedOwner):
		return nil
	case err != nil:
		return err
	}
	what := decide(refs, v, live.Finalizers)
	if len(what.release) > 0 {
		return gone(r.objects.release(ctx, v.identity, what.release), "releasing", v.identity)
	}
	if what.policy == "" {
		return nil
	}
	if what.unblock {
		if err := r.objects.unblock(ctx, v.identity, live); err != nil {
			return gone(err, "unblocking the owners of", v.identity)
		}
		// It has a new resource version by that.
		if live, err = r.objects.get(ctx, v.identity); err != nil {
			return gone(err, "reading", v.identity)
		}
	}
	err = r.objects.remove(ctx, v.identity, live, what.policy)
	if apierrors.IsNotFound(err) {
		r.wake(r.graph.missing(v.identity))
		return nil
	}
	return gone(err, "deleting", v.identity)
}

// gone is err with what was being done, nil where the object is gone.
func gone(err error, doing string, i identity) error {
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("%s %s: %w", doing, i, err)
}

// classify looks up the owners of an object.
func (r reconciler) classify(ctx context.Context, i identity, refs []metav1.OwnerReference) (found references, err error) {
	for _, ref := range refs {
		owner, err := r.owner(ctx, i, ref)
		switch {
		case err != nil:
			return references{}, err
		case owner == nil:
			found.dangling = append(found.dangling, ref)
		case owner.DeletionTimestamp != nil && hasFinalizer(owner, metav1.FinalizerDeleteDependents):
			found.waiting = append(found.waiting, ref)
		default:
			found.solid = append(found.solid, ref)
		}
	}
	return found, nil
}

// owner returns what a reference of an object means, nil where that is not there.
func (r reconciler) owner(ctx context.Context, i identity, ref metav1.OwnerReference) (*metav1.PartialObjectMetadata, error) {
	if r.graph.knownAbsent(referred(ref, "")) || r.graph.knownAbsent(referred(ref, i.namespace)) {
		return nil, nil
	}
	namespaced, err := r.objects.namespaced(ref.APIVersion, ref.Kind)
	switch {
	case err != nil:
		return nil, err
	case namespaced && i.namespace == "":
		return nil, errNamespacedOwner
	}
	id := referred(ref, i.namespace)
	if !namespaced {
		id.namespace = ""
	}
	live, err := r.objects.get(ctx, id)
	switch {
	case apierrors.IsNotFound(err), err == nil && live.UID != ref.UID:
		r.graph.absent.Add(id, nil)
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the owner %s: %w", id, err)
	}
	return live, nil
}

// await lets an object go that waits for the end of what it owns, when nothing blocks it
// any more.
func (r reconciler) await(ctx context.Context, v view) error {
	count, idle := r.graph.blocking(v.uid)
	if count > 0 {
		r.wake(due{collect: idle})
		return nil
	}
	return gone(r.objects.finish(ctx, v.identity, metav1.FinalizerDeleteDependents), "letting go", v.identity)
}

// orphan releases what an object owns and lets the object go.
func (r reconciler) orphan(ctx context.Context, uid types.UID) error {
	v, ok := r.graph.look(uid)
	if !ok || !v.orphaning {
		return nil
	}
	if err := r.releaseAll(ctx, r.graph.dependents(uid), uid); err != nil {
		return fmt.Errorf("orphaning what %s owns: %w", v.identity, err)
	}
	return gone(r.objects.finish(ctx, v.identity, metav1.FinalizerOrphanDependents), "letting go", v.identity)
}

func (r reconciler) releaseAll(ctx context.Context, dependents []identity, owner types.UID) error {
	errs := make([]error, len(dependents))
	room := make(chan struct{}, releasing)
	var all sync.WaitGroup
	for i, d := range dependents {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			if err := r.objects.release(ctx, d, []types.UID{owner}); err != nil && !apierrors.IsNotFound(err) {
				errs[i] = fmt.Errorf("releasing %s: %w", d, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
