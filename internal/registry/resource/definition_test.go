package resource_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/registry/resource/resourcetest"
)

// quotas is a kind with one of each.
func quotas() resource.Definition[*corev1.ResourceQuota] {
	type object = corev1.ResourceQuota
	return resource.Definition[*object]{
		GroupVersion: corev1.SchemeGroupVersion,
		Plural:       "resourcequotas",
		Singular:     "resourcequota",
		Namespaced:   true,
		New:          func() *object { return &object{} },
		NewList:      func() runtime.Object { return &corev1.ResourceQuotaList{} },
		Default: func(q *object) {
			if q.Labels == nil {
				q.Labels = map[string]string{"default": "yes"}
			}
		},
		Status:       &resource.Rules[*object]{PrepareUpdate: func(_ context.Context, q, old *object) { q.Spec = old.Spec }},
		Fields:       func(q *object) fields.Set { return fields.Set{"spec.scope": ""} },
		FieldAliases: map[string]string{"spec.old": "spec.scope"},
	}
}

func TestDefaultsReachObjectsAloneAndInLists(t *testing.T) {
	s := resourcetest.Scheme(t, quotas().Register)
	one := &corev1.ResourceQuota{}
	s.Default(one)
	list := &corev1.ResourceQuotaList{Items: []corev1.ResourceQuota{{}, {ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}}}}
	s.Default(list)
	if one.Labels["default"] != "yes" || list.Items[0].Labels["default"] != "yes" || list.Items[1].Labels["default"] != "" {
		t.Errorf("alone %v, in a list %v", one.Labels, list.Items)
	}
}

func TestSelectableFieldsAreThoseOfTheDefinition(t *testing.T) {
	s := resourcetest.Scheme(t, quotas().Register)
	gvk := corev1.SchemeGroupVersion.WithKind("ResourceQuota")
	for label, want := range map[string]string{
		"metadata.name": "metadata.name", "metadata.namespace": "metadata.namespace", "spec.scope": "spec.scope", "spec.old": "spec.scope",
	} {
		if got, _, err := s.ConvertFieldLabel(gvk, label, "x"); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", label, got, err, want)
		}
	}
	if _, _, err := s.ConvertFieldLabel(gvk, "spec.nonsense", "x"); err == nil {
		t.Error("spec.nonsense can be selected by")
	}
}

func TestStoragesOfADefinition(t *testing.T) {
	paths, err := quotas().Storages(resourcetest.Env(t, quotas().Register))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) != 2 || paths["resourcequotas"] == nil || paths["resourcequotas/status"] == nil {
		t.Fatalf("paths %v", paths)
	}
	table, err := paths["resourcequotas"].(rest.TableConvertor).ConvertToTable(t.Context(), &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(table.ColumnDefinitions) != 2 || len(table.Rows) != 1 || table.Rows[0].Cells[0] != "q" || table.Rows[0].Cells[1] != "<unknown>" {
		t.Errorf("table %+v", table)
	}
}
