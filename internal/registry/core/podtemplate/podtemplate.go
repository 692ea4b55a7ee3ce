// Package podtemplate owns the PodTemplate kind of core/v1: defaults, validation, table
// and storage. Nothing makes pods of them; a template in itself is
// internal/registry/core/podspec's.
package podtemplate

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes templates.
func Definition() resource.Definition[*corev1.PodTemplate] {
	return resource.Definition[*corev1.PodTemplate]{
		GroupVersion: corev1.SchemeGroupVersion,
		Plural:       "podtemplates",
		Singular:     "podtemplate",
		Namespaced:   true,
		New:          func() *corev1.PodTemplate { return &corev1.PodTemplate{} },
		NewList:      func() runtime.Object { return &corev1.PodTemplateList{} },
		Default:      func(t *corev1.PodTemplate) { podspec.SetDefaults(&t.Template.Spec) },
		Rules: resource.Rules[*corev1.PodTemplate]{
			PrepareCreate: func(_ context.Context, t *corev1.PodTemplate) { t.Generation = 1 },
			PrepareUpdate: func(_ context.Context, t, old *corev1.PodTemplate) {
				if !equality.Semantic.DeepEqual(t.Template, old.Template) {
					t.Generation = old.Generation + 1
				}
			},
			Validate:       func(_ context.Context, t *corev1.PodTemplate) field.ErrorList { return validate(t) },
			ValidateUpdate: func(_ context.Context, t, _ *corev1.PodTemplate) field.ErrorList { return validate(t) },
			WarnCreate:     func(_ context.Context, t *corev1.PodTemplate) []string { return warnings(t) },
			WarnUpdate:     func(_ context.Context, t, _ *corev1.PodTemplate) []string { return warnings(t) },
		},
		Columns:       columns(),
		ReturnDeleted: true,
	}
}

func validate(t *corev1.PodTemplate) field.ErrorList {
	return podspec.ValidateTemplate(&t.Template, field.NewPath("template"))
}

func warnings(t *corev1.PodTemplate) []string {
	return podspec.Warnings(&t.Template.ObjectMeta, &t.Template.Spec, field.NewPath("template"))
}

func columns() resource.Columns[*corev1.PodTemplate] {
	return resource.Columns[*corev1.PodTemplate]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Containers", Type: "string", Description: "Names of each container in the template."},
			{Name: "Images", Type: "string", Description: "Images referenced by each container in the template."},
			{Name: "Pod Labels", Type: "string", Description: "The labels for the pod template."},
		},
		Row: func(t *corev1.PodTemplate) []any {
			names, images := podspec.Containers(&t.Template.Spec)
			return []any{t.Name, names, images, labels.FormatLabels(t.Template.Labels)}
		},
	}
}
