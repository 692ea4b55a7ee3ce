package namespace

import (
	"context"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/resource/resourcetest"
)

// served is the storage of namespaces on a real store.
type served struct {
	*testing.T
	ctx   context.Context
	paths map[string]rest.Storage
}

func serve(t *testing.T) served {
	t.Helper()
	paths, err := NewStorage(resourcetest.Env(t, Definition().Register))
	if err != nil {
		t.Fatal(err)
	}
	return served{t, resourcetest.Context(t, ""), paths}
}

func (s served) create(n *corev1.Namespace) (*corev1.Namespace, error) {
	obj, err := s.paths["namespaces"].(rest.Creater).Create(s.ctx, n, resourcetest.Allow, &metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return obj.(*corev1.Namespace), nil
}

func (s served) delete(options *metav1.DeleteOptions) (*corev1.Namespace, bool, error) {
	obj, gone, err := s.paths["namespaces"].(rest.GracefulDeleter).Delete(s.ctx, "n", resourcetest.Allow, options)
	n, _ := obj.(*corev1.Namespace)
	return n, gone, err
}

func (s served) update(path string, n *corev1.Namespace) error {
	_, _, err := s.paths[path].(rest.Updater).Update(s.ctx, n.Name, rest.DefaultUpdatedObjectInfo(n), resourcetest.Allow, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	return err
}

func (s served) get() (*corev1.Namespace, error) {
	obj, err := s.paths["namespaces"].(rest.Getter).Get(s.ctx, "n", &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return obj.(*corev1.Namespace), nil
}

func named(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func TestCreate(t *testing.T) {
	s := serve(t)
	n := named("n")
	n.Status.Phase = corev1.NamespaceTerminating
	got, err := s.create(n)
	if err != nil {
		t.Fatal(err)
	}
	if got.Status.Phase != corev1.NamespaceActive || !slices.Equal(got.Spec.Finalizers, []corev1.FinalizerName{"kubernetes"}) || got.Labels[corev1.LabelMetadataName] != "n" {
		t.Errorf("created %+v", got)
	}
	generated, err := s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "g-"}})
	if err != nil || generated.Labels[corev1.LabelMetadataName] != generated.Name || !strings.HasPrefix(generated.Name, "g-") {
		t.Errorf("generated %+v, %v", generated, err)
	}
	if _, err := s.create(named("dotted.name")); !apierrors.IsInvalid(err) {
		t.Errorf("dotted name: %v", err)
	}
	odd := named("odd")
	odd.Spec.Finalizers = []corev1.FinalizerName{"mine"}
	if _, err := s.create(odd); err == nil || !strings.Contains(err.Error(), "spec.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified") {
		t.Errorf("odd finalizer: %v", err)
	}
}

func TestLife(t *testing.T) {
	s := serve(t)
	created, err := s.create(named("n"))
	if err != nil {
		t.Fatal(err)
	}
	other := types.UID("other")
	if _, _, err := s.delete(&metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &other}}); !apierrors.IsConflict(err) {
		t.Errorf("delete of another UID: %v", err)
	}
	if got, _, err := s.delete(&metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}); err != nil || got.Status.Phase != corev1.NamespaceTerminating {
		t.Errorf("dry run: %+v, %v", got, err)
	}
	if got, err := s.get(); err != nil || got.DeletionTimestamp != nil {
		t.Errorf("after a dry run: %+v, %v", got, err)
	}
	for range 2 {
		got, gone, err := s.delete(nil)
		if err != nil || gone || got.Status.Phase != corev1.NamespaceTerminating || got.DeletionTimestamp == nil || got.UID != created.UID {
			t.Fatalf("delete: %+v, gone %v, %v", got, gone, err)
		}
	}
	n, err := s.get()
	if err != nil {
		t.Fatal(err)
	}
	n.Spec.Finalizers = nil
	if err := s.update("namespaces", n); err != nil {
		t.Fatal(err)
	}
	if n, err = s.get(); err != nil || len(n.Spec.Finalizers) != 1 {
		t.Fatalf("a plain update took the finalizers: %+v, %v", n, err)
	}
	n.Spec.Finalizers = nil
	if err := s.update("namespaces/finalize", n); err != nil {
		t.Fatal(err)
	}
	if got, err := s.get(); !apierrors.IsNotFound(err) {
		t.Errorf("after the last finalizer: %+v, %v", got, err)
	}
}

func TestMetadataFinalizersHold(t *testing.T) {
	s := serve(t)
	n := named("n")
	n.Finalizers = []string{"example.com/hold"}
	if _, err := s.create(n); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.delete(nil); err != nil {
		t.Fatal(err)
	}
	n, _ = s.get()
	n.Spec.Finalizers = nil
	if err := s.update("namespaces/finalize", n); err != nil {
		t.Fatal(err)
	}
	n, err := s.get()
	if err != nil {
		t.Fatalf("gone while a finalizer holds it: %v", err)
	}
	n.Finalizers = nil
	if err := s.update("namespaces", n); err != nil {
		t.Fatal(err)
	}
	if _, err := s.get(); !apierrors.IsNotFound(err) {
		t.Errorf("after the last finalizer: %v", err)
	}
}

func TestStatus(t *testing.T) {
	s := serve(t)
	n, err := s.create(named("n"))
	if err != nil {
		t.Fatal(err)
	}
	n.Status.Phase = corev1.NamespaceTerminating
	if err := s.update("namespaces/status", n); err == nil || !strings.Contains(err.Error(), "may only be 'Active' if `deletionTimestamp` is empty") {
		t.Errorf("terminating without deletion: %v", err)
	}
	n.Status.Phase = corev1.NamespaceActive
	n.Status.Conditions = []corev1.NamespaceCondition{{Type: "Odd", Status: corev1.ConditionTrue}}
	n.Spec.Finalizers = nil
	if err := s.update("namespaces/status", n); err != nil {
		t.Fatal(err)
	}
	if n, err = s.get(); err != nil || len(n.Status.Conditions) != 1 || len(n.Spec.Finalizers) != 1 {
		t.Errorf("stored %+v, %v", n, err)
	}
}

func TestThereIsNoDeleteCollection(t *testing.T) {
	s := serve(t)
	if _, ok := s.paths["namespaces"].(rest.CollectionDeleter); ok {
		t.Error("namespaces can be deleted as a collection")
	}
	if _, ok := s.paths["namespaces/finalize"].(rest.Getter); ok {
		t.Error("namespaces/finalize can be read")
	}
	short, ok := s.paths["namespaces"].(rest.ShortNamesProvider)
	if !ok || !slices.Equal(short.ShortNames(), []string{"ns"}) {
		t.Error("namespaces have no short name")
	}
}

func TestTheLabelCannotBeTaken(t *testing.T) {
	n := named("n")
	n.Labels = map[string]string{corev1.LabelMetadataName: "other"}
	resourcetest.Scheme(t, Definition().Register).Default(n)
	if n.Labels[corev1.LabelMetadataName] != "n" {
		t.Errorf("labels %v", n.Labels)
	}
}

func TestRowAndFields(t *testing.T) {
	n := named("n")
	n.Status.Phase = corev1.NamespaceActive
	if row := columns().Row(n); !slices.Equal(row, []any{"n", "Active", "<unknown>"}) || len(row) != len(columns().Columns) {
		t.Errorf("row %v", row)
	}
	s := resourcetest.Scheme(t, Definition().Register)
	for label := range selectable(n) {
		if _, _, err := s.ConvertFieldLabel(corev1.SchemeGroupVersion.WithKind("Namespace"), label, ""); err != nil {
			t.Errorf("%s: %v", label, err)
		}
	}
}
