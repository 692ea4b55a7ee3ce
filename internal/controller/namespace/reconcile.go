package namespace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"laterna.dev/laterna/internal/controller/run"
)

// resource is one served kind of namespaced objects.
type resource struct {
	schema.GroupVersionResource
	// collection tells whether all objects can be deleted with one request.
	collection bool
}

// left is what a resource still holds after its deletion was asked for.
type left struct {
	objects    int
	finalizers map[string]int // finalizer → objects that carry it
}

// reconciler decides about one namespace; its fields read from and write to the
// API.
type reconciler struct {
	now       func() time.Time
	get       func(ctx context.Context, name string) (*corev1.Namespace, error)
	resources func() (all []resource, parsing, err error)
	// graceful tells whether pods of a namespace may still take their time to end.
	graceful func(n *corev1.Namespace) bool
	// remove deletes the objects of a resource and returns what is left of them.
	remove       func(ctx context.Context, r resource, namespace string) (left, error)
	updateStatus run.Commit[*corev1.Namespace]
	finalize     run.Commit[*corev1.Namespace]
}

// reconcile takes a terminating namespace one step further. It returns false when
// the namespace has to be looked at again later.
func (r reconciler) reconcile(ctx context.Context, name string) (done bool, err error) {
	n, err := r.get(ctx, name)
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("reading namespace: %w", err)
	case n.DeletionTimestamp == nil || !slices.Contains(n.Spec.Finalizers, corev1.FinalizerKubernetes):
		return true, nil
	}
	found := r.empty(ctx, n)
	if !found.empty() {
		if err := r.report(ctx, n, found); err != nil {
			return false, err
		}
		return false, found.err()
	}
	final := n.DeepCopy()
	final.Spec.Finalizers = slices.DeleteFunc(final.Spec.Finalizers, func(f corev1.FinalizerName) bool { return f == corev1.FinalizerKubernetes })
	if _, err := r.finalize(ctx, n, final); err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("finalizing namespace: %w", err)
	}
	return true, nil
}

// findings say how far the emptying of a namespace got.
type findings struct {
	discovery, parsing error
	deletion           []error
	left               map[schema.GroupVersionResource]left
}

func (f findings) empty() bool {
	return f.discovery == nil && f.parsing == nil && len(f.deletion) == 0 && len(f.left) == 0
}

func (f findings) err() error {
	return errors.Join(append([]error{f.discovery, f.parsing}, f.deletion...)...)
}

var pods = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// empty deletes what a namespace holds. As long as pods are left, nothing else is
// touched.
func (r reconciler) empty(ctx context.Context, n *corev1.Namespace) findings {
	f := findings{left: map[schema.GroupVersionResource]left{}}
	var all []resource
	all, f.parsing, f.discovery = r.resources()
	remove := func(each resource) {
		rest, err := r.remove(ctx, each, n.Name)
		patient := len(rest.finalizers) > 0 || each.GroupVersionResource == pods && r.graceful(n)
		if err == nil && rest.objects > 0 && !patient {
			err = fmt.Errorf("unexpected items still remain in namespace: %s for gvr: %v", n.Name, each.GroupVersionResource)
		}
		if err != nil {
			f.deletion = append(f.deletion, err)
		}
		if rest.objects > 0 {
			f.left[each.GroupVersionResource] = rest
		}
	}
	for _, each := range all {
		if each.GroupVersionResource == pods {
			remove(each)
		}
	}
	if len(f.left) == 0 && len(f.deletion) == 0 {
		for _, each := range all {
			if each.GroupVersionResource != pods {
				remove(each)
			}
		}
	}
	return f
}

// report writes the findings into the conditions.
func (r reconciler) report(ctx context.Context, n *corev1.Namespace, f findings) error {
	told := n.DeepCopy()
	setConditions(&told.Status, conditions(f), r.now())
	if _, err := r.updateStatus(ctx, n, told); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("reporting on the namespace: %w", err)
	}
	return nil
}

// title writes a resource as the conditions do: "pods." or "leases.coordination.k8s.io".
func title(r schema.GroupVersionResource) string { return r.Resource + "." + r.Group }

// remaining lists what is left, and the finalizers it waits for.
func remaining(all map[schema.GroupVersionResource]left) (objects, finalizers []string) {
	counts := map[string]int{}
	for r, l := range all {
		objects = append(objects, fmt.Sprintf("%s has %d resource instances", title(r), l.objects))
		for f, n := range l.finalizers {
			counts[f] += n
		}
	}
	slices.Sort(objects)
	for _, f := range slices.Sorted(maps.Keys(counts)) {
		finalizers = append(finalizers, fmt.Sprintf("%s in %d resource instances", f, counts[f]))
	}
	return objects, finalizers
}

func list(items []string) string { return strings.Join(items, ", ") }
