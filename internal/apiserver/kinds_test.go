package apiserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/resource"
)

// podTemplates is all that it takes to add a kind that is only stored, in place of the one
// that the table has. The roles of Kubernetes do not know it.
func podTemplates() registry.Kind {
	return registry.Kind{
		Serve: registry.Stored(resource.Definition[*corev1.PodTemplate]{
			GroupVersion: corev1.SchemeGroupVersion,
			Plural:       "podtemplates",
			Singular:     "podtemplate",
			ShortNames:   []string{"pt"},
			Namespaced:   true,
			New:          func() *corev1.PodTemplate { return &corev1.PodTemplate{} },
			NewList:      func() runtime.Object { return &corev1.PodTemplateList{} },
			Default: func(p *corev1.PodTemplate) {
				if p.Template.Spec.RestartPolicy == "" {
					p.Template.Spec.RestartPolicy = corev1.RestartPolicyAlways
				}
			},
			Rules: resource.Rules[*corev1.PodTemplate]{
				Validate: func(_ context.Context, p *corev1.PodTemplate) field.ErrorList {
					if p.Template.Spec.SchedulerName == "nobody" {
						return field.ErrorList{field.Invalid(field.NewPath("template", "spec", "schedulerName"), "nobody", "is not there")}
					}
					return nil
				},
			},
			Columns: resource.Columns[*corev1.PodTemplate]{
				Columns: []resource.Column{resource.Name(), {Name: "Scheduler", Type: "string"}, resource.AgeColumn()},
				Row: func(p *corev1.PodTemplate) []any {
					return []any{p.Name, p.Template.Spec.SchedulerName, resource.Age(p)}
				},
			},
			Fields: func(p *corev1.PodTemplate) fields.Set {
				return fields.Set{"template.spec.schedulerName": p.Template.Spec.SchedulerName}
			},
		}),
		Roles:        registry.Roles{View: "get list watch", Edit: "create update patch delete", Node: "get"},
		Confidential: true,
	}
}

// autoscalers is the least: a kind whose group serves nothing else yet, with a
// status, which the roles of Kubernetes know.
func autoscalers() registry.Kind {
	type object = autoscalingv1.HorizontalPodAutoscaler
	return registry.Kind{Serve: registry.Stored(resource.Definition[*object]{
		GroupVersion: autoscalingv1.SchemeGroupVersion,
		Plural:       "horizontalpodautoscalers",
		Singular:     "horizontalpodautoscaler",
		Namespaced:   true,
		New:          func() *object { return &object{} },
		NewList:      func() runtime.Object { return &autoscalingv1.HorizontalPodAutoscalerList{} },
		Status:       &resource.Rules[*object]{PrepareUpdate: func(_ context.Context, b, old *object) { b.Spec = old.Spec }},
	})}
}

var (
	templates = corev1.SchemeGroupVersion.WithResource("podtemplates")
	scalers   = autoscalingv1.SchemeGroupVersion.WithResource("horizontalpodautoscalers")
)

// TestKindOfTheTableIsServed adds two kinds by their rows alone, and uses them in every
// way that kinds are used.
func TestKindOfTheTableIsServed(t *testing.T) {
	s := boot(t, t.TempDir(), func(c *apiserver.Config) {
		c.Kinds = slices.DeleteFunc(slices.Clone(c.Kinds), func(g registry.Group) bool { return g.Version == autoscalingv2.SchemeGroupVersion })
		for i := range c.Kinds {
			switch g := &c.Kinds[i]; g.Version {
			case corev1.SchemeGroupVersion:
				g.Kinds = append(without(g.Kinds, "podtemplates"), podTemplates())
			case autoscalingv1.SchemeGroupVersion:
				g.Kinds = []registry.Kind{autoscalers()}
			}
		}
	})
	t.Run("life", s.addedKindLives)
	t.Run("rules", s.addedKindHasRules)
	t.Run("status", s.addedKindHasStatus)
	t.Run("tables", s.addedKindIsShown)
	t.Run("documents", s.addedKindIsDocumented)
	t.Run("roles", s.addedKindIsGranted)
	t.Run("store", s.addedKindIsSealed)
}

// without is a table without the row of a resource.
func without(kinds []registry.Kind, resource string) []registry.Kind {
	return slices.DeleteFunc(slices.Clone(kinds), func(k registry.Kind) bool { return k.Serve.Resource == resource })
}

// dynamic returns a client of a resource in namespace default.
func (s *system) dynamic(r schema.GroupVersionResource, user string, groups ...string) dynamic.ResourceInterface {
	s.t.Helper()
	c, err := dynamic.NewForConfig(s.config(user, groups...))
	must(s.t, err)
	return c.Resource(r).Namespace("default")
}

// podTemplate returns a PodTemplate with a scheduler.
func podTemplate(name, scheduler string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "PodTemplate", "metadata": map[string]any{"name": name, "labels": map[string]any{"test": "kinds"}},
		"template": map[string]any{"spec": map[string]any{"schedulerName": scheduler, "containers": []any{map[string]any{"name": "c", "image": "i:1"}}}},
	}}
}

func schedulerOf(t *testing.T, o runtime.Object) string {
	t.Helper()
	name, _, err := unstructured.NestedString(o.(*unstructured.Unstructured).Object, "template", "spec", "schedulerName")
	must(t, err)
	return name
}

func (s *system) addedKindLives(t *testing.T) {
	c, ctx := s.dynamic(templates, "admin", "system:masters"), t.Context()
	list, err := c.List(ctx, metav1.ListOptions{})
	must(t, err)
	w, err := c.Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion(), FieldSelector: "template.spec.schedulerName=b"})
	must(t, err)
	defer w.Stop()
	made, err := c.Create(ctx, podTemplate("life", "a"), metav1.CreateOptions{})
	must(t, err)
	if policy, _, _ := unstructured.NestedString(made.Object, "template", "spec", "restartPolicy"); policy != "Always" {
		t.Errorf("restart policy %q is not the default", policy)
	}
	for kind, patch := range map[types.PatchType]string{
		types.MergePatchType:          `{"template":{"spec":{"schedulerName":"b"}}}`,
		types.StrategicMergePatchType: `{"template":{"spec":{"containers":[{"name":"d","image":"i:2"}]}}}`,
		types.JSONPatchType:           `[{"op":"add","path":"/metadata/annotations","value":{"a":"b"}}]`,
	} {
		_, err := c.Patch(ctx, "life", kind, []byte(patch), metav1.PatchOptions{})
		must(t, err)
	}
	if e := next(t, w); e.Type != watch.Added || schedulerOf(t, e.Object) != "b" {
		t.Errorf("first event %v", e)
	}
	applied := podTemplate("life", "c")
	if _, err := c.Apply(ctx, "life", applied, metav1.ApplyOptions{FieldManager: "x"}); !apierrors.IsConflict(err) {
		t.Errorf("a field of another manager is taken: %v", err)
	}
	got, err := c.Apply(ctx, "life", applied, metav1.ApplyOptions{FieldManager: "x", Force: true})
	must(t, err)
	if containers, _, _ := unstructured.NestedSlice(got.Object, "template", "spec", "containers"); len(containers) != 2 || schedulerOf(t, got) != "c" {
		t.Errorf("after apply: %v", got.Object["template"])
	}
	typed, err := s.admin().CoreV1().PodTemplates("default").Get(ctx, "life", metav1.GetOptions{})
	must(t, err)
	if typed.Annotations["a"] != "b" || typed.Template.Spec.SchedulerName != "c" {
		t.Errorf("typed: %+v", typed)
	}
	must(t, c.Delete(ctx, "life", metav1.DeleteOptions{}))
	_, err = c.Create(ctx, podTemplate("collected", "a"), metav1.CreateOptions{})
	must(t, err)
	must(t, c.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "test=kinds"}))
	if list, err = c.List(ctx, metav1.ListOptions{}); err != nil || len(list.Items) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}

func (s *system) addedKindHasRules(t *testing.T) {
	c := s.dynamic(templates, "admin", "system:masters")
	if _, err := c.Create(t.Context(), podTemplate("wrong", "nobody"), metav1.CreateOptions{}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "template.spec.schedulerName") {
		t.Errorf("against the rules: %v", err)
	}
	if _, err := c.Create(t.Context(), podTemplate("Wrong_Name", "a"), metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("a name that is none: %v", err)
	}
	if _, err := c.List(t.Context(), metav1.ListOptions{FieldSelector: "template.nonsense=1"}); !apierrors.IsBadRequest(err) {
		t.Errorf("a field that cannot be selected: %v", err)
	}
}

func (s *system) addedKindHasStatus(t *testing.T) {
	c, ctx := s.dynamic(scalers, "admin", "system:masters"), t.Context()
	scaler := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": map[string]any{"name": "b"}, "spec": map[string]any{"maxReplicas": int64(1), "scaleTargetRef": map[string]any{"kind": "K", "name": "n"}},
	}}
	made, err := c.Create(ctx, scaler, metav1.CreateOptions{})
	must(t, err)
	made.Object["spec"] = map[string]any{"maxReplicas": int64(2), "scaleTargetRef": map[string]any{"kind": "K", "name": "n"}}
	made.Object["status"] = map[string]any{"currentReplicas": int64(3), "desiredReplicas": int64(0)}
	got, err := c.UpdateStatus(ctx, made, metav1.UpdateOptions{})
	must(t, err)
	most, _, _ := unstructured.NestedInt64(got.Object, "spec", "maxReplicas")
	current, _, _ := unstructured.NestedInt64(got.Object, "status", "currentReplicas")
	if most != 1 || current != 3 {
		t.Errorf("after a write of the status: %v", got.Object)
	}
}

func (s *system) addedKindIsShown(t *testing.T) {
	_, err := s.dynamic(templates, "admin", "system:masters").Create(t.Context(), podTemplate("shown", "mine"), metav1.CreateOptions{})
	must(t, err)
	for path, want := range map[string]string{
		"/api/v1/namespaces/default/podtemplates":                          "Name,Scheduler,Age: shown mine",
		"/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers": "Name,Age: b",
	} {
		code, raw := s.fetch(s.privileged(), "GET", path, nil, "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
		var table metav1.Table
		if err := json.Unmarshal(raw, &table); err != nil || code != http.StatusOK || len(table.Rows) != 1 {
			t.Fatalf("%s: %d %s", path, code, raw)
		}
		var names, cells []string
		for i, c := range table.ColumnDefinitions {
			if names = append(names, c.Name); c.Name != "Age" {
				cells = append(cells, fmt.Sprint(table.Rows[0].Cells[i]))
			}
		}
		if got := strings.Join(names, ",") + ": " + strings.Join(cells, " "); got != want {
			t.Errorf("%s shows %s, want %s", path, got, want)
		}
	}
}

func (s *system) addedKindIsDocumented(t *testing.T) {
	groups, lists, err := s.admin().Discovery().ServerGroupsAndResources()
	must(t, err)
	if !slices.ContainsFunc(groups, func(g *metav1.APIGroup) bool { return g.Name == autoscalingv1.GroupName }) {
		t.Error("the group of the new kind is not listed")
	}
	verbs := map[string]string{}
	for _, l := range lists {
		for _, r := range l.APIResources {
			verbs[l.GroupVersion+" "+r.Name] = strings.Join(append(r.Verbs, r.ShortNames...), " ")
		}
	}
	for name, want := range map[string]string{
		"v1 podtemplates":                                "create delete deletecollection get list patch update watch pt",
		"autoscaling/v1 horizontalpodautoscalers":        "create delete deletecollection get list patch update watch",
		"autoscaling/v1 horizontalpodautoscalers/status": "get patch update",
	} {
		if verbs[name] != want {
			t.Errorf("%s is listed with %q, want %q", name, verbs[name], want)
		}
	}
	for path, texts := range map[string][]string{
		"/openapi/v2":                     {`"/api/v1/namespaces/{namespace}/podtemplates/{name}"`, `"/apis/autoscaling/v1/namespaces/{namespace}/horizontalpodautoscalers/{name}/status"`, `"io.k8s.api.core.v1.PodTemplate"`},
		"/openapi/v3/api/v1":              {`"/api/v1/namespaces/{namespace}/podtemplates/{name}"`, `"io.k8s.api.core.v1.PodTemplate"`},
		"/openapi/v3/apis/autoscaling/v1": {`"/apis/autoscaling/v1/namespaces/{namespace}/horizontalpodautoscalers"`, `"io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler"`},
	} {
		code, raw := s.fetch(s.privileged(), "GET", path, nil, "Accept", "application/json")
		for _, text := range texts {
			if code != http.StatusOK || !bytes.Contains(raw, []byte(text)) {
				t.Errorf("%s (%d) does not have %s", path, code, text)
			}
		}
	}
}

func (s *system) addedKindIsGranted(t *testing.T) {
	for _, role := range []string{"view", "edit"} {
		_, err := s.admin().RbacV1().RoleBindings("default").Create(t.Context(), roleBinding(role+"er", role, role+"er"), metav1.CreateOptions{})
		must(t, err)
	}
	node := []string{"system:nodes"}
	for i, tc := range []struct {
		who, verb string
		groups    []string
		resource  schema.GroupVersionResource
		may       bool
	}{
		{"viewer", "list", nil, templates, true},
		{"viewer", "create", nil, templates, false},
		{"editer", "create", nil, templates, true},
		{"stranger", "list", nil, templates, false},
		{"system:node:n", "get", node, templates, true},
		{"system:node:n", "list", node, templates, false},
		{"viewer", "list", nil, scalers, true},
		{"system:node:n", "get", node, scalers, false},
	} {
		c := s.dynamic(tc.resource, tc.who, tc.groups...)
		var err error
		switch tc.verb {
		case "list":
			_, err = c.List(t.Context(), metav1.ListOptions{})
		case "get":
			_, err = c.Get(t.Context(), "shown", metav1.GetOptions{})
		case "create":
			_, err = c.Create(t.Context(), podTemplate(fmt.Sprint("by-", i), "a"), metav1.CreateOptions{})
		}
		if tc.may && err != nil || !tc.may && !apierrors.IsForbidden(err) {
			t.Errorf("%s: %s %s: %v, may %v", tc.who, tc.verb, tc.resource.Resource, err, tc.may)
		}
	}
}

// addedKindIsSealed checks that the store shows nothing of a confidential kind, and has
// the other in protobuf.
func (s *system) addedKindIsSealed(t *testing.T) {
	for key, want := range map[string]string{
		"/registry/podtemplates/default/shown":         "k8s:enc:secretbox:v1:",
		"/registry/horizontalpodautoscalers/default/b": "k8s\x00",
	} {
		got, err := s.raw().Get(t.Context(), key)
		must(t, err)
		if len(got.Kvs) != 1 || !bytes.HasPrefix(got.Kvs[0].Value, []byte(want)) {
			t.Errorf("%s is %.40q, want %q", key, got.Kvs, want)
		}
	}
}
