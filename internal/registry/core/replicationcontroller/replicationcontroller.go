// Package replicationcontroller owns the ReplicationController kind of core/v1: defaults,
// validation, table, storage, and what its status and scale subresources take. Rules of
// templates are podspec/template's; pods are made for it by
// internal/controller/replicaset, as for a ReplicaSet.
package replicationcontroller

import (
	"context"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/template"
	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes sets of like pods, as they were before ReplicaSets.
func Definition() resource.Definition[*corev1.ReplicationController] {
	status := statusRules()
	return resource.Definition[*corev1.ReplicationController]{
		GroupVersion: corev1.SchemeGroupVersion,
		Plural:       "replicationcontrollers",
		Singular:     "replicationcontroller",
		ShortNames:   []string{"rc"},
		Categories:   []string{"all"},
		Namespaced:   true,
		New:          func() *corev1.ReplicationController { return &corev1.ReplicationController{} },
		NewList:      func() runtime.Object { return &corev1.ReplicationControllerList{} },
		Default: func(c *corev1.ReplicationController) {
			if c.Spec.Replicas == nil {
				c.Spec.Replicas = ptr.To[int32](1)
			}
			if t := c.Spec.Template; t != nil {
				podspec.SetDefaults(&t.Spec)
				defaultLabels(c, t.Labels)
			}
		},
		Rules:  rules(),
		Status: &status,
		Scaling: &resource.Scaling[*corev1.ReplicationController]{
			Replicas:    func(c *corev1.ReplicationController) int32 { return ptr.Deref(c.Spec.Replicas, 0) },
			SetReplicas: func(c *corev1.ReplicationController, n int32) { c.Spec.Replicas = &n },
			Has:         func(c *corev1.ReplicationController) int32 { return c.Status.Replicas },
			Selector: func(c *corev1.ReplicationController) (string, error) {
				return labels.Set(c.Spec.Selector).AsSelectorPreValidated().String(), nil
			},
		},
		Columns: columns(),
		Fields: func(c *corev1.ReplicationController) fields.Set {
			return fields.Set{"status.replicas": strconv.Itoa(int(c.Status.Replicas))}
		},
	}
}

func rules() resource.Rules[*corev1.ReplicationController] {
	return resource.Rules[*corev1.ReplicationController]{
		PrepareCreate: func(_ context.Context, c *corev1.ReplicationController) {
			c.Generation, c.Status = 1, corev1.ReplicationControllerStatus{}
		},
		PrepareUpdate: func(_ context.Context, c, old *corev1.ReplicationController) {
			c.Status = old.Status
			if !apiequality.Semantic.DeepEqual(c.Spec, old.Spec) {
				c.Generation = old.Generation + 1
			}
		},
		Validate: func(_ context.Context, c *corev1.ReplicationController) field.ErrorList { return validate(c) },
		ValidateUpdate: func(_ context.Context, c, _ *corev1.ReplicationController) field.ErrorList {
			return validate(c)
		},
		WarnCreate: func(_ context.Context, c *corev1.ReplicationController) []string {
			return append(template.NameWarnings(c.Name), warnings(c)...)
		},
		WarnUpdate: func(_ context.Context, c, old *corev1.ReplicationController) []string {
			if c.Generation == old.Generation {
				return nil
			}
			return warnings(c)
		},
		Reset:      []string{"status"},
		Dependents: rest.OrphanDependents,
	}
}

func statusRules() resource.Rules[*corev1.ReplicationController] {
	return resource.Rules[*corev1.ReplicationController]{
		PrepareUpdate: func(_ context.Context, c, old *corev1.ReplicationController) { c.Spec = old.Spec },
		ValidateUpdate: func(_ context.Context, c, _ *corev1.ReplicationController) field.ErrorList {
			return validateStatus(&c.Status, field.NewPath("status"))
		},
		Reset: []string{"spec"},
	}
}

var of = template.Of{Runs: "ReplicationController"}

// defaultLabels has a controller select what its template makes, and be labelled like it.
func defaultLabels(c *corev1.ReplicationController, made map[string]string) {
	if made == nil {
		return
	}
	if len(c.Spec.Selector) == 0 {
		c.Spec.Selector = maps.Clone(made)
	}
	if len(c.Labels) == 0 {
		c.Labels = maps.Clone(made)
	}
}

func validate(c *corev1.ReplicationController) field.ErrorList {
	path := field.NewPath("spec")
	errs := template.NonNegative(path, template.Number{Name: "minReadySeconds", Value: int64(c.Spec.MinReadySeconds)})
	if len(c.Spec.Selector) == 0 {
		errs = append(errs, field.Required(path.Child("selector"), ""))
	}
	errs = append(errs, template.NonNegative(path, template.Number{Name: "replicas", Value: int64(ptr.Deref(c.Spec.Replicas, 0))})...)
	if c.Spec.Template == nil {
		return append(errs, field.Required(path.Child("template"), ""))
	}
	return append(errs, of.ValidateMatched(labels.SelectorFromSet(c.Spec.Selector), c.Spec.Template, path.Child("template"))...)
}

func warnings(c *corev1.ReplicationController) []string {
	if c.Spec.Template == nil {
		return nil
	}
	return template.Warnings(c.Spec.Template)
}

func validateStatus(s *corev1.ReplicationControllerStatus, path *field.Path) field.ErrorList {
	errs := template.NonNegative(path, []template.Number{
		{Name: "replicas", Value: int64(s.Replicas)},
		{Name: "fullyLabeledReplicas", Value: int64(s.FullyLabeledReplicas)},
		{Name: "readyReplicas", Value: int64(s.ReadyReplicas)},
		{Name: "availableReplicas", Value: int64(s.AvailableReplicas)},
		{Name: "observedGeneration", Value: s.ObservedGeneration},
	}...)
	return append(errs, template.ValidateCounts(template.Counts{
		Replicas: s.Replicas, Labelled: s.FullyLabeledReplicas, Ready: s.ReadyReplicas, Available: s.AvailableReplicas,
	}, path)...)
}

func columns() resource.Columns[*corev1.ReplicationController] {
	spec, status := corev1.ReplicationControllerSpec{}.SwaggerDoc(), corev1.ReplicationControllerStatus{}.SwaggerDoc()
	return resource.Columns[*corev1.ReplicationController]{
		Columns: append([]resource.Column{
			resource.Name(),
			{Name: "Desired", Type: "integer", Description: spec["replicas"]},
			{Name: "Current", Type: "integer", Description: status["replicas"]},
			{Name: "Ready", Type: "integer", Description: status["readyReplicas"]},
			resource.AgeColumn(),
		}, template.WideColumns(spec["selector"])...),
		Row: func(c *corev1.ReplicationController) []any {
			t := c.Spec.Template
			if t == nil {
				t = &corev1.PodTemplateSpec{}
			}
			return append([]any{c.Name, int64(ptr.Deref(c.Spec.Replicas, 0)), int64(c.Status.Replicas), int64(c.Status.ReadyReplicas), resource.Age(c)},
				template.WideCells(t, labels.FormatLabels(c.Spec.Selector))...)
		},
	}
}
