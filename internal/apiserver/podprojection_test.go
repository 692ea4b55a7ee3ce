package apiserver_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"

	"laterna.dev/laterna/api/projection/v1alpha1"
)

var projections = v1alpha1.SchemeGroupVersion.WithResource(v1alpha1.Plural)

// projection is that of a pod on a node.
func projection(pod *corev1.Pod, node string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": v1alpha1.Kind,
		"metadata": map[string]any{"name": pod.Name, "namespace": "default", "ownerReferences": []any{
			map[string]any{"apiVersion": "v1", "kind": "Pod", "name": pod.Name, "uid": string(pod.UID), "controller": true, "blockOwnerDeletion": false},
		}},
		"spec": map[string]any{"nodeName": node},
		"status": map[string]any{"volumes": []any{map[string]any{"name": "s", "sources": []any{
			map[string]any{"kind": "Secret", "name": "x", "observedVersion": "7", "publishedVersion": "7"},
		}}}},
	}}
}

func (s *system) projections(t *testing.T, user string, groups ...string) dynamic.ResourceInterface {
	t.Helper()
	d, err := dynamic.NewForConfig(s.config(user, groups...))
	must(t, err)
	return d.Resource(projections).Namespace("default")
}

func TestPodProjections(t *testing.T) {
	shared(t, map[string]func(*testing.T, *system){
		"nodes write those of their own pods": testProjectionsOfNodes,
		"view reads, edit deletes":            testProjectionRights,
		"apply, watch, tables and encodings":  testProjectionRequests,
	})
}

func testProjectionsOfNodes(t *testing.T, s *system) {
	ctx := t.Context()
	_, err := s.admin().CoreV1().ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	must(t, err)
	for _, name := range []string{"a", "b"} {
		_, err := s.admin().CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		must(t, err)
	}
	mine, theirs := s.bound(t, "mine", "a"), s.bound(t, "theirs", "b")
	a, b := s.projections(t, "system:node:a", "system:nodes"), s.projections(t, "system:node:b", "system:nodes")
	made, err := a.Create(ctx, projection(mine, "a"), metav1.CreateOptions{})
	must(t, err)
	_, err = b.Create(ctx, projection(theirs, "b"), metav1.CreateOptions{})
	must(t, err)
	must(t, unstructured.SetNestedSlice(made.Object, []any{}, "status", "volumes"))
	made, err = a.Update(ctx, made, metav1.UpdateOptions{})
	must(t, err)
	if got, _, _ := unstructured.NestedSlice(made.Object, "status", "volumes"); len(got) != 0 {
		t.Errorf("volumes after the update: %v", got)
	}
	wrongUID := projection(mine, "a")
	wrongUID.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "mine", UID: "x"}})
	for name, try := range map[string]func() error{
		"reading another's":       func() error { _, err := a.Get(ctx, "theirs", metav1.GetOptions{}); return err },
		"listing":                 func() error { _, err := a.List(ctx, metav1.ListOptions{}); return err },
		"watching":                func() error { _, err := a.Watch(ctx, metav1.ListOptions{}); return err },
		"patching another's":      func() error { return patchStatus(t, a, "theirs") },
		"deleting another's":      func() error { return a.Delete(ctx, "theirs", metav1.DeleteOptions{}) },
		"deleting all":            func() error { return a.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}) },
		"making another's":        func() error { _, err := a.Create(ctx, projection(theirs, "b"), metav1.CreateOptions{}); return err },
		"making one about theirs": func() error { _, err := a.Create(ctx, projection(theirs, "a"), metav1.CreateOptions{}); return err },
		"an owner that is not":    func() error { _, err := a.Create(ctx, wrongUID, metav1.CreateOptions{}); return err },
		"another user":            func() error { _, err := s.projections(t, "noone").Get(ctx, "mine", metav1.GetOptions{}); return err },
	} {
		if err := try(); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want Forbidden", name, err)
		}
	}
	must(t, patchStatus(t, a, "mine"))
	must(t, a.Delete(ctx, "mine", metav1.DeleteOptions{}))
}

func patchStatus(t *testing.T, c dynamic.ResourceInterface, name string) error {
	_, err := c.Patch(t.Context(), name, types.MergePatchType, []byte(`{"status":{"volumes":[]}}`), metav1.PatchOptions{})
	return err
}

func testProjectionRights(t *testing.T, s *system) {
	for role, want := range map[string]string{"view": "get list watch", "edit": "get list watch delete deletecollection", "admin": "get list watch delete deletecollection"} {
		r, err := s.admin().RbacV1().ClusterRoles().Get(t.Context(), role, metav1.GetOptions{})
		must(t, err)
		verbs := map[string]bool{}
		for _, rule := range r.Rules {
			if strings.Join(rule.APIGroups, " ") == v1alpha1.GroupName && strings.Join(rule.Resources, " ") == v1alpha1.Plural {
				for _, v := range rule.Verbs {
					verbs[v] = true
				}
			}
		}
		for _, v := range strings.Fields("get list watch create update patch delete deletecollection") {
			if verbs[v] != strings.Contains(" "+want+" ", " "+v+" ") {
				t.Errorf("%s may %s: %v", role, v, verbs[v])
			}
		}
	}
}

func testProjectionRequests(t *testing.T, s *system) {
	ctx, admin := t.Context(), s.projections(t, "admin", "system:masters")
	w, err := admin.Watch(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=n1"})
	must(t, err)
	defer w.Stop()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "applied", UID: "u"}}
	_, err = admin.Apply(ctx, "applied", projection(pod, "n1"), metav1.ApplyOptions{FieldManager: "one"})
	must(t, err)
	select {
	case e := <-w.ResultChan():
		if e.Type != "ADDED" {
			t.Errorf("event %v", e)
		}
	case <-time.After(5 * time.Second):
		t.Error("no event")
	}
	// Another manager adds a source to the volume that one applied: lists have keys.
	second := projection(pod, "n1")
	second.SetOwnerReferences(nil)
	must(t, unstructured.SetNestedSlice(second.Object, []any{map[string]any{"name": "s", "sources": []any{
		map[string]any{"kind": "ConfigMap", "name": "x", "observedVersion": "8"},
	}}}, "status", "volumes"))
	got, err := admin.Apply(ctx, "applied", second, metav1.ApplyOptions{FieldManager: "two"})
	must(t, err)
	volumes, _, _ := unstructured.NestedSlice(got.Object, "status", "volumes")
	if sources := volumes[0].(map[string]any)["sources"].([]any); len(volumes) != 1 || len(sources) != 2 {
		t.Errorf("volumes %v", volumes)
	}
	moved := projection(pod, "n2")
	if _, err = admin.Apply(ctx, "applied", moved, metav1.ApplyOptions{FieldManager: "one", Force: true}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "field is immutable") {
		t.Errorf("another node: %v", err)
	}

	path := "/apis/projection.laterna.dev/v1alpha1/namespaces/default/podprojections/applied"
	for accept, want := range map[string]string{
		"application/vnd.kubernetes.protobuf,application/json": "application/json",
		"application/yaml": "application/yaml",
		"application/json;as=Table;g=meta.k8s.io;v=v1": "application/json",
	} {
		rest := s.admin().Discovery().RESTClient()
		var contentType string
		result := rest.Get().AbsPath(path).SetHeader("Accept", accept).Do(ctx).ContentType(&contentType)
		raw, err := result.Raw()
		must(t, err)
		if contentType != want {
			t.Errorf("%s is answered with %s", accept, contentType)
		}
		if strings.Contains(accept, "Table") {
			table := &metav1.Table{}
			must(t, json.Unmarshal(raw, table))
			if cells := table.Rows[0].Cells; cells[0] != "applied" || cells[1] != "s" || cells[2] != "0/2" {
				t.Errorf("cells %v", cells)
			}
		}
	}
	var code int
	s.admin().Discovery().RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/vnd.kubernetes.protobuf").Do(ctx).StatusCode(&code)
	if code != http.StatusNotAcceptable {
		t.Errorf("protobuf alone: %d", code)
	}

	// The namespace controller empties what it finds through a client like this one.
	meta, err := metadata.NewForConfig(s.config("admin", "system:masters"))
	must(t, err)
	must(t, meta.Resource(projections).Namespace("default").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
	left, err := meta.Resource(projections).Namespace("default").List(ctx, metav1.ListOptions{})
	must(t, err)
	if len(left.Items) != 0 {
		t.Errorf("%d are left", len(left.Items))
	}
}
