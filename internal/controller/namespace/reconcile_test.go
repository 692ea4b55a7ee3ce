package namespace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/run"
)

// world is an API with one namespace; content maps a resource to what is in it.
type world struct {
	namespace *corev1.Namespace
	content   map[string]left
	stuck     map[string]bool  // resources whose objects stay
	refuse    map[string]error // resource → what its deletion answers
	discovery error
	removed   []string
	finalized bool
	statuses  int
}

func (w *world) reconciler() reconciler {
	return reconciler{
		now: func() time.Time { return time.Unix(1000, 0) },
		get: func(context.Context, string) (*corev1.Namespace, error) {
			if w.namespace == nil {
				return nil, apierrors.NewNotFound(corev1.Resource("namespaces"), "n")
			}
			return w.namespace, nil
		},
		resources: func() ([]resource, error) {
			return []resource{
				{corev1.SchemeGroupVersion.WithResource("configmaps"), true},
				{corev1.SchemeGroupVersion.WithResource("pods"), true},
				{schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}, true},
			}, w.discovery
		},
		remove: func(_ context.Context, r resource, _ string) (left, error) {
			w.removed = append(w.removed, r.Resource)
			if err := w.refuse[r.Resource]; err != nil {
				return w.content[r.Resource], err
			}
			if !w.stuck[r.Resource] {
				delete(w.content, r.Resource)
			}
			return w.content[r.Resource], nil
		},
		updateStatus: run.Commits(env.Env{}, func(_ context.Context, n *corev1.Namespace, _ metav1.UpdateOptions) (*corev1.Namespace, error) {
			w.statuses++
			w.namespace = n
			return n, nil
		}),
		finalize: run.Commits(env.Env{}, func(_ context.Context, n *corev1.Namespace, _ metav1.UpdateOptions) (*corev1.Namespace, error) {
			w.finalized = !slices.Contains(n.Spec.Finalizers, corev1.FinalizerKubernetes)
			return n, nil
		}),
	}
}

func terminating() *corev1.Namespace {
	now := metav1.Now()
	return &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: "n", DeletionTimestamp: &now},
		Spec:       corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"example.com/other", corev1.FinalizerKubernetes}},
		Status:     corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating},
	}
}

func (w *world) condition(kind corev1.NamespaceConditionType) string {
	for _, c := range w.namespace.Status.Conditions {
		if c.Type == kind {
			return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
		}
	}
	return "none"
}

func TestReconcile(t *testing.T) {
	for _, tc := range []struct {
		name      string
		world     world
		done      bool
		fails     bool
		finalized bool
		removed   string
		condition corev1.NamespaceConditionType
		says      string
	}{
		{name: "gone", done: true},
		{name: "active", world: world{namespace: &corev1.Namespace{}}, done: true},
		{name: "finalized", world: world{namespace: &corev1.Namespace{ObjectMeta: terminating().ObjectMeta}}, done: true},
		{name: "empty", world: world{namespace: terminating()}, done: true, finalized: true, removed: "pods configmaps leases"},
		{name: "content goes at once", world: world{namespace: terminating(), content: map[string]left{"pods": {objects: 1}, "leases": {objects: 2}}},
			done: true, finalized: true, removed: "pods configmaps leases"},
		{name: "pods end first", world: world{namespace: terminating(), content: map[string]left{"pods": {objects: 2}, "configmaps": {objects: 1}}, stuck: map[string]bool{"pods": true}},
			removed: "pods", condition: corev1.NamespaceContentRemaining, says: "True SomeResourcesRemain: Some resources are remaining: pods. has 2 resource instances"},
		{name: "finalizers", world: world{namespace: terminating(), content: map[string]left{"leases": {objects: 3, finalizers: map[string]int{"b": 1, "a": 2}}}, stuck: map[string]bool{"leases": true}},
			removed: "pods configmaps leases", condition: corev1.NamespaceFinalizersRemaining,
			says: "True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: a in 2 resource instances, b in 1 resource instances"},
		{name: "refused", world: world{namespace: terminating(), content: map[string]left{"leases": {objects: 1}}, refuse: map[string]error{"leases": errors.New("no")}},
			fails: true, removed: "pods configmaps leases", condition: corev1.NamespaceDeletionContentFailure,
			says: "True ContentDeletionFailed: Failed to delete all resource types, 1 remaining: leases.coordination.k8s.io: no"},
		{name: "discovery", world: world{namespace: terminating(), discovery: errors.New("a group is away")},
			fails: true, removed: "pods configmaps leases", condition: corev1.NamespaceDeletionDiscoveryFailure,
			says: "True DiscoveryFailed: Discovery failed for some groups, 1 failing: a group is away"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := tc.world
			done, err := w.reconciler().reconcile(t.Context(), "n")
			if done != tc.done || (err != nil) != tc.fails || w.finalized != tc.finalized {
				t.Errorf("done %v, finalized %v, error %v", done, w.finalized, err)
			}
			if got := strings.Join(w.removed, " "); got != tc.removed {
				t.Errorf("removed %q, want %q", got, tc.removed)
			}
			if tc.condition != "" && w.condition(tc.condition) != tc.says {
				t.Errorf("condition %s\nwant %s", w.condition(tc.condition), tc.says)
			}
		})
	}
}

func TestConditionsAreWrittenOnChangeOnly(t *testing.T) {
	w := world{namespace: terminating(), content: map[string]left{"pods": {objects: 2}}, stuck: map[string]bool{"pods": true}}
	r := w.reconciler()
	for range 3 {
		if _, err := r.reconcile(t.Context(), "n"); err != nil {
			t.Fatal(err)
		}
	}
	if w.statuses != 1 || len(w.namespace.Status.Conditions) != 5 {
		t.Errorf("%d writes of %d conditions", w.statuses, len(w.namespace.Status.Conditions))
	}
	since := w.namespace.Status.Conditions[3].LastTransitionTime
	w.content["pods"] = left{objects: 1}
	r.now = func() time.Time { return time.Unix(2000, 0) }
	if _, err := r.reconcile(t.Context(), "n"); err != nil {
		t.Fatal(err)
	}
	if got := w.namespace.Status.Conditions[3]; w.statuses != 2 || !strings.Contains(got.Message, "has 1 resource") || !got.LastTransitionTime.Equal(&since) {
		t.Errorf("%d writes, condition %+v", w.statuses, got)
	}
	w.stuck = nil
	if done, err := r.reconcile(t.Context(), "n"); err != nil || !done || !w.finalized {
		t.Errorf("done %v, finalized %v, %v", done, w.finalized, err)
	}
}
