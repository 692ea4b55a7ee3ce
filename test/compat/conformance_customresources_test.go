package compat

import (
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// TestConformanceCustomResources tries all that is asked of custom resources on one system,
// which has none before.
func TestConformanceCustomResources(t *testing.T) {
	t.Parallel()
	d := newDefiner(t)
	d.definitionsLive(t)
	d.customObjects(t)
	d.publishes(t)
	d.converts(t)
	d.webhooksOfCustomResources(t)
	d.fieldsAreValidated(t)
	d.discoversCustomResources(t)
}

// definitionsLive are the behaviours of definitions.
func (d *definer) definitionsLive(t *testing.T) {
	all := d.definitions.ApiextensionsV1().CustomResourceDefinitions()
	d.conforms(t, "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition creating/deleting custom resource definition objects works", func(t *testing.T) {
		c := d.definition("mygroup.example.com", served(t, "v1beta1", loose))
		c.Spec.Scope = v1.ClusterScoped
		now := d.define(t, c)
		if n := now.Status.AcceptedNames; n.Singular == "" || n.ListKind != n.Kind+"List" || !slices.Equal(now.Status.StoredVersions, []string{"v1beta1"}) {
			t.Errorf("status %+v", now.Status)
		}
		if err := all.Delete(t.Context(), c.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		d.gone(t, c.Name)
		eventually(t, 10*time.Second, func() error {
			if _, err := d.objectsOf(c, "v1beta1").List(t.Context(), metav1.ListOptions{}); err == nil {
				return fmt.Errorf("objects of %s are served", c.Name)
			}
			return nil
		})
	})

	d.conforms(t, "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition listing custom resource definition objects works", func(t *testing.T) {
		made := map[string]*v1.CustomResourceDefinition{}
		for range 10 {
			c := d.definition("list.example.com", served(t, "v1beta1", loose))
			c.Labels = map[string]string{"listed": "yes"}
			made[c.Name] = d.define(t, c)
		}
		other := d.define(t, d.definition("list.example.com", served(t, "v1beta1", loose)))
		labelled := metav1.ListOptions{LabelSelector: "listed=yes"}
		list, err := all.List(t.Context(), labelled)
		if err != nil || len(list.Items) != len(made) {
			t.Fatalf("%d are listed, %v", len(list.Items), err)
		}
		for _, c := range list.Items {
			if !apiequality.Semantic.DeepEqual(c.Spec, made[c.Name].Spec) {
				t.Errorf("listed as %+v", c.Spec)
			}
		}
		if err := all.DeleteCollection(t.Context(), metav1.DeleteOptions{}, labelled); err != nil {
			t.Fatal(err)
		}
		for name := range made {
			d.gone(t, name)
		}
		if _, err := all.Get(t.Context(), other.Name, metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	})

	d.conforms(t, "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition getting/updating/patching custom resource definition status sub-resource works", func(t *testing.T) {
		c := d.define(t, d.definition("mygroup.example.com", served(t, "v1beta1", loose)))
		var updated *v1.CustomResourceDefinition
		eventually(t, 10*time.Second, func() error {
			got, err := d.objects.Resource(v1.SchemeGroupVersion.WithResource("customresourcedefinitions")).Get(t.Context(), c.Name, metav1.GetOptions{}, "status")
			if err != nil {
				return err
			}
			var status v1.CustomResourceDefinition
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(got.Object, &status); err != nil {
				return err
			}
			if !apiequality.Semantic.DeepEqual(status.Spec, c.Spec) {
				t.Errorf("the status is of %+v", status.Spec)
			}
			status.Status.Conditions = append(status.Status.Conditions, v1.CustomResourceDefinitionCondition{Message: "updated"})
			updated, err = all.UpdateStatus(t.Context(), &status, metav1.UpdateOptions{})
			return err
		})
		says := func(c *v1.CustomResourceDefinition, message string) {
			t.Helper()
			if !slices.Contains(c.Status.Conditions, v1.CustomResourceDefinitionCondition{Message: message}) {
				t.Errorf("conditions %+v, want one that says %s", c.Status.Conditions, message)
			}
		}
		says(updated, "updated")
		patched, err := all.Patch(t.Context(), c.Name, types.JSONPatchType, []byte(`[{"op": "add", "path": "/status/conditions", "value": [{"message": "patched"}]}]`), metav1.PatchOptions{}, "status")
		if err != nil {
			t.Fatal(err)
		}
		says(patched, "patched")
	})

	d.conforms(t, "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] should include custom resource definition resources in discovery documents", func(t *testing.T) {
		rest := d.client.Discovery().RESTClient()
		var groups metav1.APIGroupList
		var group metav1.APIGroup
		var resources metav1.APIResourceList
		for path, into := range map[string]runtime.Object{"/apis": &groups, "/apis/apiextensions.k8s.io": &group, "/apis/apiextensions.k8s.io/v1": &resources} {
			if err := rest.Get().AbsPath(path).Do(t.Context()).Into(into); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
		has := func(g metav1.APIGroup) bool {
			return g.Name == v1.GroupName && slices.ContainsFunc(g.Versions, func(v metav1.GroupVersionForDiscovery) bool { return v.Version == "v1" })
		}
		if !slices.ContainsFunc(groups.Groups, has) || !has(group) {
			t.Errorf("the group is not listed: %+v, %+v", groups, group)
		}
		if resources.GroupVersion != "apiextensions.k8s.io/v1" || !slices.ContainsFunc(resources.APIResources, func(r metav1.APIResource) bool { return r.Name == "customresourcedefinitions" }) {
			t.Errorf("resources %+v", resources)
		}
	})
}

// customObjects are the behaviours of the objects that are defined.
func (d *definer) customObjects(t *testing.T) {
	d.conforms(t, "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] custom resource defaulting for requests and from storage works", func(t *testing.T) {
		c := d.define(t, d.definition("defaults.example.com", served(t, "v1", `{"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}`)))
		objects := d.objectsOf(c, "v1")
		d.make(t, c, "one", `{}`)
		shows := func(name, a, b string) {
			t.Helper()
			eventually(t, 10*time.Second, func() error {
				o, err := objects.Get(t.Context(), name, metav1.GetOptions{})
				if err != nil {
					return err
				}
				if gotA, _, _ := unstructured.NestedString(o.Object, "a"); gotA != a {
					return fmt.Errorf("a is %q, want %q", gotA, a)
				}
				if gotB, _, _ := unstructured.NestedString(o.Object, "b"); gotB != b {
					return fmt.Errorf("b is %q, want %q", gotB, b)
				}
				return nil
			})
		}
		shows("one", "", "")
		d.patchDefinition(t, c.Name, `[{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/a/default","value":"A"}]`)
		shows("one", "A", "")
		if made := d.make(t, c, "two", `{}`); made.Object["a"] != "A" {
			t.Errorf("made as %v", made.Object)
		}
		d.patchDefinition(t, c.Name, `[{"op":"remove","path":"/spec/versions/0/schema/openAPIV3Schema/properties/a/default"},
			{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/b/default","value":"B"}]`)
		shows("two", "A", "B")
		shows("one", "", "B")
	})

	d.conforms(t, "[sig-api-machinery] CustomResourceDefinition Watch [Privileged:ClusterAdmin] CustomResourceDefinition Watch watch on custom resource definition objects", func(t *testing.T) {
		c := d.definition("mygroup.example.com", served(t, "v1beta1", loose))
		c.Spec.Scope = v1.ClusterScoped
		d.define(t, c)
		objects := d.objectsOf(c, "v1beta1")
		watches := map[string]watch.Interface{}
		for _, name := range []string{"name1", "name2"} {
			w, err := objects.Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + name})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Stop()
			watches[name] = w
		}
		next := func(name string, want watch.EventType) {
			t.Helper()
			select {
			case event := <-watches[name].ResultChan():
				if o, ok := event.Object.(*unstructured.Unstructured); event.Type != want || !ok || o.GetName() != name {
					t.Errorf("the watch of %s has %s of %v, want %s", name, event.Type, event.Object, want)
				}
			case <-time.After(10 * time.Second):
				t.Errorf("the watch of %s has no %s", name, want)
			}
		}
		for _, name := range []string{"name1", "name2"} {
			if made := d.make(t, c, name, `{"content": {"key": "value"}}`); made.GetUID() == "" || made.GetKind() != c.Spec.Names.Kind || made.GetAPIVersion() != c.Spec.Group+"/v1beta1" {
				t.Errorf("made as %v", made)
			}
			next(name, watch.Added)
		}
		for _, name := range []string{"name1", "name2"} {
			if _, err := objects.Patch(t.Context(), name, types.JSONPatchType, []byte(`[{"op":"add","path":"/dummy","value":"test"}]`), metav1.PatchOptions{}); err != nil {
				t.Error(err)
			}
			next(name, watch.Modified)
		}
		for _, name := range []string{"name1", "name2"} {
			if err := objects.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
			next(name, watch.Deleted)
		}
	})
}
