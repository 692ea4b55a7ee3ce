package compat

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// life is what upstream's tests of a kind's API operations need to know of it.
type life struct {
	resource   schema.GroupVersionResource
	namespaced bool
	// object returns the fields of an object beside its metadata.
	object func() map[string]any
	// status is written to the status subresource, nil where the kind has none.
	status map[string]any
	// statusAlone says that metadata is not written with the status.
	statusAlone bool
	// silent kinds are acted on: nobody is warned who makes one.
	silent bool
	// settled tells whether a controller has done with a new object; nil where none acts.
	settled func(*unstructured.Unstructured) bool
}

// warned keeps the warnings of answers.
type warned struct {
	mu    sync.Mutex
	texts []string
}

func (w *warned) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, text)
}

// only tells whether something has been said to be only stored.
func (w *warned) only() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.texts, func(text string) bool {
		return strings.Contains(text, "only stored") || strings.Contains(text, "the request waits")
	})
}

// lives takes a kind through what its API can do: discovery, create, get, list, watch,
// patch, update, its status, delete and deletecollection.
func (s *stage) lives(l life) func(*testing.T) {
	return func(t *testing.T) {
		at := l.resource.GroupVersion().String()
		for path, part := range map[string]string{
			"/apis": `"groupVersion":"` + at + `"`, "/apis/" + l.resource.Group: `"groupVersion":"` + at + `"`, "/apis/" + at: `"name":"` + l.resource.Resource + `"`,
		} {
			body, err := s.client.Discovery().RESTClient().Get().AbsPath(path).DoRaw(t.Context())
			if err != nil || !strings.Contains(string(body), part) {
				t.Errorf("%s lacks %s: %v", path, part, err)
			}
		}
		config, said := rest.CopyConfig(s.config(t)), &warned{}
		config.WarningHandler = said
		client, err := dynamic.NewForConfig(config)
		s.must(t, err)
		all := client.Resource(l.resource)
		k := &kindLife{life: l, own: all, mine: metav1.ListOptions{LabelSelector: "special-label=" + s.ns + "-" + s.name(l.resource.Resource)}}
		if l.namespaced {
			k.own = all.Namespace(s.ns)
		}
		t.Cleanup(func() { _ = k.own.DeleteCollection(context.Background(), metav1.DeleteOptions{}, k.mine) })
		k.run(t, all)
		if said.only() == l.silent {
			t.Errorf("warned of %q", said.texts)
		}
	}
}

type kindLife struct {
	life
	own  dynamic.ResourceInterface
	mine metav1.ListOptions
}

func (k *kindLife) run(t *testing.T, all dynamic.ResourceInterface) {
	var first *unstructured.Unstructured
	for range 3 {
		first = k.create(t)
	}
	if got, err := k.own.Get(t.Context(), first.GetName(), metav1.GetOptions{}); err != nil || got.GetUID() != first.GetUID() {
		t.Errorf("read %v, %v", got, err)
	}
	from := k.mine
	from.ResourceVersion = k.count(t, all, 3)
	seen, err := k.own.Watch(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer seen.Stop()
	k.change(t, first, seen)
	k.patchEveryWay(t, first.GetName(), map[string]any{"metadata": map[string]any{"labels": map[string]any{"patched-every-way": "true"}}})
	if k.status != nil {
		k.writeStatus(t, first.GetName())
	}
	if err := k.own.Delete(t.Context(), first.GetName(), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, stepTimeout, func() error { // finalizers may keep it
		if _, err := k.own.Get(t.Context(), first.GetName(), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("after the deletion: %v", err)
		}
		return nil
	})
	k.count(t, all, 2)
	if err := k.own.DeleteCollection(t.Context(), metav1.DeleteOptions{}, k.mine); err != nil {
		t.Fatal(err)
	}
	k.count(t, all, 0)
}

func (k *kindLife) create(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{Object: maps.Clone(k.object())}
	o.SetAPIVersion(k.resource.GroupVersion().String())
	key, value, _ := strings.Cut(k.mine.LabelSelector, "=")
	o.SetLabels(map[string]string{key: value})
	if o.GetName() == "" {
		o.SetGenerateName("e2e-example-")
	}
	made, err := k.own.Create(t.Context(), o, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if k.settled != nil {
		eventually(t, stepTimeout, func() error {
			if made, err = k.own.Get(t.Context(), made.GetName(), metav1.GetOptions{}); err == nil && !k.settled(made) {
				err = fmt.Errorf("no controller has done with %v", made)
			}
			return err
		})
	}
	return made
}

// count checks how many objects there are, of all namespaces, too.
func (k *kindLife) count(t *testing.T, all dynamic.ResourceInterface, want int) string {
	t.Helper()
	own, err := k.own.List(t.Context(), k.mine)
	if err != nil || len(own.Items) != want {
		t.Fatalf("%d objects, %v, want %d", len(own.Items), err, want)
	}
	if list, err := all.List(t.Context(), k.mine); err != nil || len(list.Items) != want {
		t.Fatalf("%d objects in all, %v, want %d", len(list.Items), err, want)
	}
	return own.GetResourceVersion()
}

// change patches and updates an object, which the watch must tell.
func (k *kindLife) change(t *testing.T, o *unstructured.Unstructured, seen watch.Interface) {
	patched, err := k.own.Patch(t.Context(), o.GetName(), types.MergePatchType, []byte(`{"metadata":{"annotations":{"patched":"true"}}}`), metav1.PatchOptions{})
	if err != nil || patched.GetAnnotations()["patched"] != "true" {
		t.Fatalf("%+v, %v", patched, err)
	}
	patched.SetAnnotations(map[string]string{"patched": "true", "updated": "true"})
	updated, err := k.own.Update(t.Context(), patched, metav1.UpdateOptions{})
	if err != nil || updated.GetAnnotations()["updated"] != "true" {
		t.Fatalf("%+v, %v", updated, err)
	}
	for _, annotation := range []string{"patched", "updated"} {
		select {
		case e := <-seen.ResultChan():
			if got, ok := e.Object.(*unstructured.Unstructured); !ok || e.Type != watch.Modified || got.GetAnnotations()[annotation] != "true" {
				t.Errorf("watched %s of %+v, want what is %s", e.Type, e.Object, annotation)
			}
		case <-time.After(stepTimeout):
			t.Errorf("what is %s is not watched", annotation)
		}
	}
}

// writeStatus patches, updates and reads the status, by which nothing else changes.
func (k *kindLife) writeStatus(t *testing.T, name string) {
	before, err := k.own.Get(t.Context(), name, metav1.GetOptions{}, "status")
	if err != nil {
		t.Fatal(err)
	}
	now := before.DeepCopy()
	now.SetAnnotations(map[string]string{"patchedstatus": "true"})
	now.SetManagedFields(nil)
	now.Object["status"] = k.status
	delete(now.Object, "spec")
	raw, err := now.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	patched, err := k.own.Patch(t.Context(), name, types.MergePatchType, raw, metav1.PatchOptions{}, "status")
	if err != nil || !contained(k.status, patched.Object["status"]) || !k.statusAlone && patched.GetAnnotations()["patchedstatus"] != "true" {
		t.Fatalf("patched the status to %v, %v, want %v", patched, err, k.status)
	}
	patched.Object["spec"] = map[string]any{}
	updated, err := k.own.UpdateStatus(t.Context(), patched, metav1.UpdateOptions{})
	if err != nil || !contained(k.status, updated.Object["status"]) || !contained(before.Object["spec"], updated.Object["spec"]) {
		t.Fatalf("updated to %v, %v", updated, err)
	}
	k.patchEveryWay(t, name, map[string]any{"status": k.status}, "status")
	if got, err := k.own.Get(t.Context(), name, metav1.GetOptions{}, "status"); err != nil || got.GetUID() != before.GetUID() || !contained(k.status, got.Object["status"]) {
		t.Errorf("read %v, %v", got, err)
	}
}

// patchEveryWay writes a part of an object, or of a subresource, by each kind of patch.
func (k *kindLife) patchEveryWay(t *testing.T, name string, part map[string]any, subresource ...string) {
	t.Helper()
	apply := maps.Clone(part)
	apply["apiVersion"], apply["kind"] = k.resource.GroupVersion().String(), k.object()["kind"]
	var operations []map[string]any
	for field, value := range part {
		if field == "metadata" {
			field, value = "metadata/labels/patched-every-way", "true"
		}
		operations = append(operations, map[string]any{"op": "add", "path": "/" + field, "value": value})
	}
	force := true
	for kind, patch := range map[types.PatchType]any{
		types.MergePatchType: part, types.StrategicMergePatchType: part, types.JSONPatchType: operations, types.ApplyYAMLPatchType: apply,
	} {
		raw, err := json.Marshal(patch)
		if err != nil {
			t.Fatal(err)
		}
		options := metav1.PatchOptions{FieldValidation: metav1.FieldValidationStrict}
		if kind == types.ApplyYAMLPatchType {
			options.FieldManager, options.Force = "test-apply", &force
		}
		if got, err := k.own.Patch(t.Context(), name, kind, raw, options, subresource...); err != nil || !contained(part, got.Object) {
			t.Errorf("%s of %s makes %v, %v", kind, raw, got, err)
		}
	}
}

// contained tells whether all that want says is in got.
func contained(want, got any) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		for key, value := range w {
			ok = ok && contained(value, g[key])
		}
		return ok
	case []any:
		g, ok := got.([]any)
		ok = ok && len(g) == len(w)
		for i := range w {
			ok = ok && contained(w[i], g[i])
		}
		return ok
	}
	return fmt.Sprint(want) == fmt.Sprint(got)
}
