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

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
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

// disruptionBudgets is the least: a kind whose group serves nothing else yet, with a
// status, which the roles of Kubernetes know.
func disruptionBudgets() registry.Kind {
	type object = policyv1.PodDisruptionBudget
	return registry.Kind{Serve: registry.Stored(resource.Definition[*object]{
		GroupVersion: policyv1.SchemeGroupVersion,
		Plural:       "poddisruptionbudgets",
		Singular:     "poddisruptionbudget",
		Namespaced:   true,
		New:          func() *object { return &object{} },
		NewList:      func() runtime.Object { return &policyv1.PodDisruptionBudgetList{} },
		Status:       &resource.Rules[*object]{PrepareUpdate: func(_ context.Context, b, old *object) { b.Spec = old.Spec }},
	})}
}

var (
	templates = corev1.SchemeGroupVersion.WithResource("podtemplates")
	budgets   = policyv1.SchemeGroupVersion.WithResource("poddisruptionbudgets")
)

// TestKindOfTheTableIsServed adds two kinds by their rows alone, and uses them in every
// way that kinds are used.
func TestKindOfTheTableIsServed(t *testing.T) {
	s := boot(t, t.TempDir(), func(c *apiserver.Config) {
		for i := range c.Kinds {
			switch g := &c.Kinds[i]; g.Version {
			case corev1.SchemeGroupVersion:
				g.Kinds = append(without(g.Kinds, "podtemplates"), podTemplates())
			case policyv1.SchemeGroupVersion:
				g.Kinds = append(g.Kinds, disruptionBudgets())
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
	c, ctx := s.dynamic(budgets, "admin", "system:masters"), t.Context()
	budget := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": map[string]any{"name": "b"}, "spec": map[string]any{"minAvailable": int64(1)},
	}}
	made, err := c.Create(ctx, budget, metav1.CreateOptions{})
	must(t, err)
	made.Object["spec"] = map[string]any{"minAvailable": int64(2)}
	made.Object["status"] = map[string]any{"currentHealthy": int64(3), "desiredHealthy": int64(0), "disruptionsAllowed": int64(0), "expectedPods": int64(0)}
	got, err := c.UpdateStatus(ctx, made, metav1.UpdateOptions{})
	must(t, err)
	least, _, _ := unstructured.NestedInt64(got.Object, "spec", "minAvailable")
	healthy, _, _ := unstructured.NestedInt64(got.Object, "status", "currentHealthy")
	if least != 1 || healthy != 3 {
		t.Errorf("after a write of the status: %v", got.Object)
	}
}

func (s *system) addedKindIsShown(t *testing.T) {
	_, err := s.dynamic(templates, "admin", "system:masters").Create(t.Context(), podTemplate("shown", "mine"), metav1.CreateOptions{})
	must(t, err)
	for path, want := range map[string]string{
		"/api/v1/namespaces/default/podtemplates":                 "Name,Scheduler,Age: shown mine",
		"/apis/policy/v1/namespaces/default/poddisruptionbudgets": "Name,Age: b",
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
	if !slices.ContainsFunc(groups, func(g *metav1.APIGroup) bool { return g.Name == policyv1.GroupName }) {
		t.Error("the group of the new kind is not listed")
	}
	verbs := map[string]string{}
	for _, l := range lists {
		for _, r := range l.APIResources {
			verbs[l.GroupVersion+" "+r.Name] = strings.Join(append(r.Verbs, r.ShortNames...), " ")
		}
	}
	for name, want := range map[string]string{
		"v1 podtemplates":                       "create delete deletecollection get list patch update watch pt",
		"policy/v1 poddisruptionbudgets":        "create delete deletecollection get list patch update watch",
		"policy/v1 poddisruptionbudgets/status": "get patch update",
	} {
		if verbs[name] != want {
			t.Errorf("%s is listed with %q, want %q", name, verbs[name], want)
		}
	}
	for path, texts := range map[string][]string{
		"/openapi/v2":                {`"/api/v1/namespaces/{namespace}/podtemplates/{name}"`, `"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name}/status"`, `"io.k8s.api.core.v1.PodTemplate"`},
		"/openapi/v3/api/v1":         {`"/api/v1/namespaces/{namespace}/podtemplates/{name}"`, `"io.k8s.api.core.v1.PodTemplate"`},
		"/openapi/v3/apis/policy/v1": {`"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"`, `"io.k8s.api.policy.v1.PodDisruptionBudget"`},
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
		{"viewer", "list", nil, budgets, true},
		{"system:node:n", "get", node, budgets, false},
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
		"/registry/podtemplates/default/shown":     "k8s:enc:secretbox:v1:",
		"/registry/poddisruptionbudgets/default/b": "k8s\x00",
	} {
		got, err := s.raw().Get(t.Context(), key)
		must(t, err)
		if len(got.Kvs) != 1 || !bytes.HasPrefix(got.Kvs[0].Value, []byte(want)) {
			t.Errorf("%s is %.40q, want %q", key, got.Kvs, want)
		}
	}
}
