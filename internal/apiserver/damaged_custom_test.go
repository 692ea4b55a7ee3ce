package apiserver_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const widgetKeys = "/registry/shop.example.com/widgets/default/"

// turn replaces bytes of the value at a key of the store.
func (s *system) turn(key, from, to string) {
	s.t.Helper()
	raw := s.raw()
	got, err := raw.Get(s.t.Context(), key)
	must(s.t, err)
	if len(got.Kvs) != 1 || !bytes.Contains(got.Kvs[0].Value, []byte(from)) {
		s.t.Fatalf("no %s at %s", from, key)
	}
	_, err = raw.Put(s.t.Context(), key, string(bytes.Replace(got.Kvs[0].Value, []byte(from), []byte(to), 1)))
	must(s.t, err)
}

var gadget = widgets.GroupVersion().WithResource("gadgets")

// otherDefined is the definition of gadgets.
func otherDefined(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	gadgets := defined(t)
	gadgets.SetName("gadgets.shop.example.com")
	must(t, unstructured.SetNestedField(gadgets.Object, "gadgets", "spec", "names", "plural"))
	must(t, unstructured.SetNestedField(gadgets.Object, "Gadget", "spec", "names", "kind"))
	return gadgets
}

// TestDamagedCustomResources damages objects of a definition, and another definition. Both
// kinds go on without them, and say which they are.
func TestDamagedCustomResources(t *testing.T) {
	const gadgetsKey = "/registry/apiextensions.k8s.io/customresourcedefinitions/gadgets.shop.example.com"
	dir := t.TempDir()
	life(t, dir, "whole", "", func(s *system) {
		_, err := s.defines().Create(t.Context(), defined(t), metav1.CreateOptions{})
		must(t, err)
		gadgets := otherDefined(t)
		_, err = s.defines().Create(t.Context(), gadgets, metav1.CreateOptions{})
		must(t, err)
		objects := s.dynamic(widgets, "admin", "system:masters")
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			eventually(t, func() error {
				_, err := objects.Create(t.Context(), widget(name), metav1.CreateOptions{})
				return err
			})
		}
		eventually(t, func() error {
			_, err := s.dynamic(gadget, "admin", "system:masters").Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "shop.example.com/v1", "kind": "Gadget", "metadata": map[string]any{"name": "g"}}}, metav1.CreateOptions{})
			return err
		})
		s.flip(widgetKeys+"b", 0)
		s.turn(widgetKeys+"c", `"shop.example.com/v1"`, `"shop.example.com/q1"`)
		s.flip(gadgetsKey, 0)
	})
	life(t, dir, "damaged", "", func(s *system) {
		objects := s.dynamic(widgets, "admin", "system:masters")
		var names []string
		eventually(t, func() error {
			list, err := objects.List(t.Context(), metav1.ListOptions{})
			if err != nil {
				return err
			}
			names = nil
			for _, o := range list.Items {
				names = append(names, o.GetName())
			}
			if !slices.Equal(names, []string{"a", "d", "e"}) {
				return fmt.Errorf("listed are %q", names)
			}
			return nil
		})
		for options, want := range map[*metav1.ListOptions][]string{{ResourceVersion: "0"}: {"a", "d", "e"}, {Limit: 1}: {"a"}} {
			list, err := objects.List(t.Context(), *options)
			must(t, err)
			if len(list.Items) != len(want) || list.Items[0].GetName() != want[0] {
				t.Errorf("%+v lists %v", options, list.Items)
			}
		}
		if got, want := setAside(t, s.admin()), []string{gadgetsKey, widgetKeys + "b", widgetKeys + "c"}; !slices.Equal(got, want) {
			t.Errorf("set aside are %q, want %q", got, want)
		}
		for resource, err := range map[string]error{
			"widgets/b in namespace default": func() error { _, err := objects.Get(t.Context(), "b", metav1.GetOptions{}); return err }(),
			"widgets/c in namespace default": objects.Delete(t.Context(), "c", metav1.DeleteOptions{}),
			"customresourcedefinitions/gadgets.shop.example.com cann": func() error {
				_, err := s.defines().Get(t.Context(), "gadgets.shop.example.com", metav1.GetOptions{})
				return err
			}(),
		} {
			if !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), resource) || !strings.Contains(err.Error(), "delete it with `kubectl delete --raw '/apis/") {
				t.Errorf("of %s it is said: %v", resource, err)
			}
		}
		rest := s.admin().CoreV1().RESTClient()
		for _, path := range []string{"/apis/shop.example.com/v1/namespaces/default/widgets/b", "/apis/shop.example.com/v1/namespaces/default/widgets/c", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gadgets.shop.example.com"} {
			must(t, rest.Delete().RequestURI(path+"?ignoreStoreReadErrorWithClusterBreakingPotential=true").Do(t.Context()).Error())
		}
		_, err := objects.Create(t.Context(), widget("b"), metav1.CreateOptions{})
		must(t, err)
		// What a definition is of stays in the store without it.
		_, err = s.defines().Create(t.Context(), otherDefined(t), metav1.CreateOptions{})
		must(t, err)
		eventually(t, func() error {
			_, err := s.dynamic(gadget, "admin", "system:masters").Get(t.Context(), "g", metav1.GetOptions{})
			return err
		})
		if got := setAside(t, s.admin()); len(got) > 0 {
			t.Errorf("set aside are %q", got)
		}
	})
}
