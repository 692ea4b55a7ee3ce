package podprojection

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/volumes/publish"
)

// record is what the writer knows of one pod.
type record struct {
	types.NamespacedName
	uid types.UID

	// marked says that the queue has the pod and nobody has looked at it since.
	marked atomic.Bool

	turn chan struct{} // full during requests; guards what follows
	// held is the object as the API has it, nil when it has none, or when look says
	// that this is not known.
	held     *v1alpha1.PodProjection
	look     bool
	whole    time.Time // no write before, unless all volumes are up to date
	next     time.Time // no write before
	failures int       // in a row
}

func newRecord(pod *corev1.Pod, now time.Time) *record {
	r := &record{
		NamespacedName: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}, uid: pod.UID,
		turn: make(chan struct{}, 1), whole: now.Add(wholeNew),
	}
	if pod.Status.Phase != corev1.PodPending {
		// An earlier process may have written about it.
		r.look, r.whole = true, now.Add(wholeOld)
	}
	return r
}

var (
	errNotServed = errors.New("the server does not serve " + v1alpha1.GroupName)
	errContended = errors.New("somebody else writes it at the same time")
)

// discover finds out whether the server knows the kind. It says so once when it does
// not, and asks again when recheck has passed.
func (w *Writer) discover(ctx context.Context) (asked bool, err error) {
	now := w.cfg.Wall.Now()
	if now.Before(w.askAgain) {
		return true, errNotServed
	}
	err = w.api.discover(ctx)
	switch {
	case err == nil:
		w.served = true
		return true, nil
	case apierrors.IsNotFound(err) || apierrors.IsForbidden(err):
		w.askAgain = now.Add(recheck)
		if !w.told {
			w.told = true
			w.cfg.Log.Info("the server does not serve pod projections, so it is not told what pods have loaded", "group", v1alpha1.SchemeGroupVersion.String())
		}
		return true, errNotServed
	}
	return true, fmt.Errorf("looking for %s: %w", v1alpha1.GroupName, err)
}

// attempts is how many requests one write may take: others may write or delete the
// object at the same time.
const attempts = 6

// write makes the object say what is shown. The caller has the turn.
func (w *Writer) write(ctx context.Context, r *record, shown []publish.Status) (asked bool, err error) {
	for range attempts {
		done := false
		switch {
		case r.look:
			err = w.adopt(ctx, r)
		case r.held == nil:
			done, err = w.create(ctx, r, w.status(r, shown))
		default:
			status := w.status(r, shown)
			if equality.Semantic.DeepEqual(r.held.Status, status) {
				return asked, nil
			}
			done, err = w.update(ctx, r, status)
		}
		if asked = true; done || err != nil {
			return true, err
		}
	}
	return true, errContended
}

func (w *Writer) status(r *record, shown []publish.Status) v1alpha1.PodProjectionStatus {
	in := input{namespace: r.Namespace, key: w.cfg.Key, volumes: shown, now: w.cfg.Wall.Now()}
	if r.held != nil {
		in.old = r.held.Status
	}
	if w.cfg.Outcomes != nil {
		in.outcomes = w.cfg.Outcomes(r.uid)
	}
	return in.status()
}

// adopt reads what the API has. An object that an earlier pod of the name left is
// deleted.
func (w *Writer) adopt(ctx context.Context, r *record) error {
	found, err := w.api.get(ctx, r.Namespace, r.Name)
	if apierrors.IsNotFound(err) {
		r.held, r.look = nil, false
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	if w.owns(r, found) {
		r.held, r.look = found, false
		return nil
	}
	if err := w.api.remove(ctx, r.Namespace, r.Name, found.UID); err != nil && !gone(err) {
		return fmt.Errorf("deleting that of an earlier pod: %w", err)
	}
	r.held, r.look = nil, false
	return nil
}

// owns tells whether an object is this pod's, written by this node.
func (w *Writer) owns(r *record, p *v1alpha1.PodProjection) bool {
	return p.Spec.NodeName == w.cfg.NodeName && len(p.OwnerReferences) == 1 && p.OwnerReferences[0].UID == r.uid
}

func (w *Writer) create(ctx context.Context, r *record, status v1alpha1.PodProjectionStatus) (done bool, err error) {
	made, err := w.api.create(ctx, &v1alpha1.PodProjection{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.Namespace, Name: r.Name,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Pod", Name: r.Name, UID: r.uid,
				Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(false),
			}},
		},
		Spec:   v1alpha1.PodProjectionSpec{NodeName: w.cfg.NodeName},
		Status: status,
	})
	switch {
	case err == nil:
		r.held = made
		return true, nil
	case apierrors.IsAlreadyExists(err):
		r.look = true
		return false, nil
	case apierrors.IsNotFound(err):
		w.served = false // or its namespace is gone
	}
	r.look = true // the request may have been carried out all the same
	return false, fmt.Errorf("creating: %w", err)
}

func (w *Writer) update(ctx context.Context, r *record, status v1alpha1.PodProjectionStatus) (done bool, err error) {
	next := *r.held
	next.Status = status
	got, err := w.api.update(ctx, &next)
	switch {
	case err == nil:
		r.held = got
		return true, nil
	case apierrors.IsConflict(err) || apierrors.IsNotFound(err):
		r.look = true
		return false, nil
	}
	r.look = true // the request may have been carried out all the same
	return false, fmt.Errorf("updating: %w", err)
}

// gone tells whether a deletion has nothing to do: the object is not there, or is
// another one by now.
func gone(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsConflict(err) }
