// Package replicaset owns the ReplicaSet kind of apps/v1: defaults, validation, table,
// storage, and what its status and scale subresources take. Rules of templates are
// podspec/template's; pods are made for it by internal/controller/replicaset.
package replicaset

import (
	"context"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/template"
	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes sets of like pods.
func Definition() resource.Definition[*appsv1.ReplicaSet] {
	status := statusRules()
	return resource.Definition[*appsv1.ReplicaSet]{
		GroupVersion: appsv1.SchemeGroupVersion,
		Plural:       "replicasets",
		Singular:     "replicaset",
		ShortNames:   []string{"rs"},
		Categories:   []string{"all"},
		Namespaced:   true,
		New:          func() *appsv1.ReplicaSet { return &appsv1.ReplicaSet{} },
		NewList:      func() runtime.Object { return &appsv1.ReplicaSetList{} },
		Default: func(s *appsv1.ReplicaSet) {
			if s.Spec.Replicas == nil {
				s.Spec.Replicas = ptr.To[int32](1)
			}
			podspec.SetDefaults(&s.Spec.Template.Spec)
		},
		Rules:  rules(),
		Status: &status,
		Scaling: &resource.Scaling[*appsv1.ReplicaSet]{
			Replicas:    func(s *appsv1.ReplicaSet) int32 { return ptr.Deref(s.Spec.Replicas, 0) },
			SetReplicas: func(s *appsv1.ReplicaSet, n int32) { s.Spec.Replicas = &n },
			Has:         func(s *appsv1.ReplicaSet) int32 { return s.Status.Replicas },
			Selector: func(s *appsv1.ReplicaSet) (string, error) {
				selector, err := metav1.LabelSelectorAsSelector(s.Spec.Selector)
				if err != nil {
					return "", err
				}
				return selector.String(), nil
			},
		},
		Columns: columns(),
		Fields: func(s *appsv1.ReplicaSet) fields.Set {
			return fields.Set{"status.replicas": strconv.Itoa(int(s.Status.Replicas))}
		},
	}
}

func rules() resource.Rules[*appsv1.ReplicaSet] {
	return resource.Rules[*appsv1.ReplicaSet]{
		PrepareCreate: func(_ context.Context, s *appsv1.ReplicaSet) {
			s.Generation, s.Status = 1, appsv1.ReplicaSetStatus{}
		},
		PrepareUpdate: func(_ context.Context, s, old *appsv1.ReplicaSet) {
			s.Status = old.Status
			if !apiequality.Semantic.DeepEqual(s.Spec, old.Spec) {
				s.Generation = old.Generation + 1
			}
		},
		Validate: func(_ context.Context, s *appsv1.ReplicaSet) field.ErrorList { return validate(s) },
		ValidateUpdate: func(_ context.Context, s, old *appsv1.ReplicaSet) field.ErrorList {
			return append(validate(s), apivalidation.ValidateImmutableField(s.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))...)
		},
		WarnCreate: func(_ context.Context, s *appsv1.ReplicaSet) []string {
			return append(template.NameWarnings(s.Name), template.Warnings(&s.Spec.Template)...)
		},
		WarnUpdate: func(_ context.Context, s, old *appsv1.ReplicaSet) []string {
			if s.Generation == old.Generation {
				return nil
			}
			return template.Warnings(&s.Spec.Template)
		},
		Reset: []string{"status"},
	}
}

func statusRules() resource.Rules[*appsv1.ReplicaSet] {
	return resource.Rules[*appsv1.ReplicaSet]{
		PrepareUpdate: func(_ context.Context, s, old *appsv1.ReplicaSet) { s.Spec = old.Spec },
		ValidateUpdate: func(_ context.Context, s, _ *appsv1.ReplicaSet) field.ErrorList {
			return validateStatus(&s.Status, field.NewPath("status"))
		},
		Reset: []string{"spec"},
	}
}

// of is a ReplicaSet in messages; upstream says deployment of its selector.
var of = template.Of{Selects: "deployment", Runs: "ReplicaSet"}

func validate(s *appsv1.ReplicaSet) field.ErrorList {
	path := field.NewPath("spec")
	errs := template.NonNegative(path, template.Number{Name: "replicas", Value: int64(ptr.Deref(s.Spec.Replicas, 0))},
		template.Number{Name: "minReadySeconds", Value: int64(s.Spec.MinReadySeconds)})
	return append(errs, of.Validate(s.Spec.Selector, &s.Spec.Template, path)...)
}

func validateStatus(s *appsv1.ReplicaSetStatus, path *field.Path) field.ErrorList {
	errs := template.NonNegative(path, []template.Number{
		{Name: "replicas", Value: int64(s.Replicas)},
		{Name: "fullyLabeledReplicas", Value: int64(s.FullyLabeledReplicas)},
		{Name: "readyReplicas", Value: int64(s.ReadyReplicas)},
		{Name: "availableReplicas", Value: int64(s.AvailableReplicas)},
		{Name: "terminatingReplicas", Value: int64(ptr.Deref(s.TerminatingReplicas, 0))},
		{Name: "observedGeneration", Value: s.ObservedGeneration},
	}...)
	return append(errs, template.ValidateCounts(template.Counts{
		Replicas: s.Replicas, Labelled: s.FullyLabeledReplicas, Ready: s.ReadyReplicas, Available: s.AvailableReplicas,
	}, path)...)
}

func columns() resource.Columns[*appsv1.ReplicaSet] {
	spec, status := appsv1.ReplicaSetSpec{}.SwaggerDoc(), appsv1.ReplicaSetStatus{}.SwaggerDoc()
	return resource.Columns[*appsv1.ReplicaSet]{
		Columns: append([]resource.Column{
			resource.Name(),
			{Name: "Desired", Type: "integer", Description: spec["replicas"]},
			{Name: "Current", Type: "integer", Description: status["replicas"]},
			{Name: "Ready", Type: "integer", Description: status["readyReplicas"]},
			resource.AgeColumn(),
		}, template.WideColumns(spec["selector"])...),
		Row: func(s *appsv1.ReplicaSet) []any {
			return append([]any{s.Name, int64(ptr.Deref(s.Spec.Replicas, 0)), int64(s.Status.Replicas), int64(s.Status.ReadyReplicas), resource.Age(s)},
				template.WideCells(&s.Spec.Template, metav1.FormatLabelSelector(s.Spec.Selector))...)
		},
	}
}
