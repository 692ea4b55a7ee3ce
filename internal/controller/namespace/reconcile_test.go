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
	"k8s.io/client-go/discovery"

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
	parsing   error
	graceful  bool
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
		graceful: func(*corev1.Namespace) bool { return w.graceful },
		resources: func() ([]resource, error, error) {
			return []resource{
				{corev1.SchemeGroupVersion.WithResource("configmaps"), true},
				{corev1.SchemeGroupVersion.WithResource("pods"), true},
				{schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}, true},
			}, w.parsing, w.discovery
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
		{name: "pods end first", world: world{namespace: terminating(), content: map[string]left{"pods": {objects: 2}, "configmaps": {objects: 1}}, stuck: map[string]bool{"pods": true}, graceful: true},
			removed: "pods", condition: corev1.NamespaceContentRemaining, says: "True SomeResourcesRemain: Some resources are remaining: pods. has 2 resource instances"},
		{name: "finalizers", world: world{namespace: terminating(), content: map[string]left{"leases": {objects: 3, finalizers: map[string]int{"b": 1, "a": 2}}}, stuck: map[string]bool{"leases": true}},
			removed: "pods configmaps leases", condition: corev1.NamespaceFinalizersRemaining,
			says: "True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: a in 2 resource instances, b in 1 resource instances"},
		{name: "refused", world: world{namespace: terminating(), content: map[string]left{"leases": {objects: 1}}, refuse: map[string]error{"leases": errors.New("no")}},
			fails: true, removed: "pods configmaps leases", condition: corev1.NamespaceDeletionContentFailure,
			says: "True ContentDeletionFailed: Failed to delete all resource types, 1 remaining: no"},
		{name: "a pod that outlives its grace period", world: world{namespace: terminating(), content: map[string]left{"pods": {objects: 1}}, stuck: map[string]bool{"pods": true}},
			fails: true, removed: "pods", condition: corev1.NamespaceDeletionContentFailure,
			says: "True ContentDeletionFailed: Failed to delete all resource types, 1 remaining: unexpected items still remain in namespace: n for gvr: /v1, Resource=pods"},
		{name: "a group that cannot be read", world: world{namespace: terminating(), parsing: errors.New("unexpected GroupVersion string: a/b/c")},
			fails: true, removed: "pods configmaps leases", condition: corev1.NamespaceDeletionGVParsingFailure,
			says: "True GroupVersionParsingFailed: unexpected GroupVersion string: a/b/c"},
		{name: "groups that are away", world: world{namespace: terminating(), discovery: &discovery.ErrGroupDiscoveryFailed{Groups: map[schema.GroupVersion]error{{Group: "a", Version: "v1"}: errors.New("away")}}},
			fails: true, removed: "pods configmaps leases", condition: corev1.NamespaceDeletionDiscoveryFailure,
			says: "True DiscoveryFailed: Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: a/v1: away"},
		{name: "discovery", world: world{namespace: terminating(), discovery: errors.New("a group is away")},
			fails: true, removed: "pods configmaps leases", condition: corev1.NamespaceDeletionDiscoveryFailure,
			says: "True DiscoveryFailed: a group is away"},
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
	w := world{namespace: terminating(), content: map[string]left{"pods": {objects: 2}}, stuck: map[string]bool{"pods": true}, graceful: true}
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

func TestGracePeriodsOfPods(t *testing.T) {
	pod := func(grace int64, phase corev1.PodPhase) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{TerminationGracePeriodSeconds: &grace}, Status: corev1.PodStatus{Phase: phase}}
	}
	all := []*corev1.Pod{pod(5, corev1.PodRunning), pod(30, corev1.PodPending), pod(90, corev1.PodFailed), {}}
	if !graceful(all, 29*time.Second) || graceful(all, 30*time.Second) || graceful(nil, 0) {
		t.Error("the longest grace period of a pod that runs does not count")
	}
}

func TestANamespaceThatTakesLongIsLookedAtSeldom(t *testing.T) {
	for ending, want := range map[time.Duration]time.Duration{0: recheck, -time.Minute: recheck, 16 * time.Second: 2 * time.Second, time.Hour: seldom} {
		if got := pause(ending); got != want {
			t.Errorf("after %s a pause of %s, want %s", ending, got, want)
		}
	}
}
