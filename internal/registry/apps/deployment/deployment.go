// Package deployment owns the Deployment kind of apps/v1: defaults, table, storage, and
// what its status and scale subresources take; what is refused is in validation.go. Rules
// of templates are podspec/template's; ReplicaSets are rolled out for it by
// internal/controller/deployment.
package deployment

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/template"
	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes deployments.
func Definition() resource.Definition[*appsv1.Deployment] {
	status := statusRules()
	return resource.Definition[*appsv1.Deployment]{
		GroupVersion: appsv1.SchemeGroupVersion,
		Plural:       "deployments",
		Singular:     "deployment",
		ShortNames:   []string{"deploy"},
		Categories:   []string{"all"},
		Namespaced:   true,
		New:          func() *appsv1.Deployment { return &appsv1.Deployment{} },
		NewList:      func() runtime.Object { return &appsv1.DeploymentList{} },
		Default:      setDefaults,
		Rules:        rules(),
		Status:       &status,
		Scaling: &resource.Scaling[*appsv1.Deployment]{
			Replicas:    func(d *appsv1.Deployment) int32 { return ptr.Deref(d.Spec.Replicas, 0) },
			SetReplicas: func(d *appsv1.Deployment, n int32) { d.Spec.Replicas = &n },
			Has:         func(d *appsv1.Deployment) int32 { return d.Status.Replicas },
			Selector:    selector,
		},
		Columns: columns(),
	}
}

func setDefaults(d *appsv1.Deployment) {
	s := &d.Spec
	if s.Replicas == nil {
		s.Replicas = ptr.To[int32](1)
	}
	if s.Strategy.Type == "" {
		s.Strategy.Type = appsv1.RollingUpdateDeploymentStrategyType
	}
	if s.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		if s.Strategy.RollingUpdate == nil {
			s.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{}
		}
		quarter := intstr.FromString("25%")
		if r := s.Strategy.RollingUpdate; r.MaxUnavailable == nil {
			r.MaxUnavailable = ptr.To(quarter)
		}
		if r := s.Strategy.RollingUpdate; r.MaxSurge == nil {
			r.MaxSurge = ptr.To(quarter)
		}
	}
	if s.RevisionHistoryLimit == nil {
		s.RevisionHistoryLimit = ptr.To[int32](10)
	}
	if s.ProgressDeadlineSeconds == nil {
		s.ProgressDeadlineSeconds = ptr.To[int32](600)
	}
	podspec.SetDefaults(&s.Template.Spec)
}

func rules() resource.Rules[*appsv1.Deployment] {
	return resource.Rules[*appsv1.Deployment]{
		PrepareCreate: func(_ context.Context, d *appsv1.Deployment) {
			d.Generation, d.Status = 1, appsv1.DeploymentStatus{}
		},
		PrepareUpdate: func(_ context.Context, d, old *appsv1.Deployment) {
			d.Status = old.Status
			// Its ReplicaSets take over its annotations.
			if !apiequality.Semantic.DeepEqual(d.Spec, old.Spec) || !apiequality.Semantic.DeepEqual(d.Annotations, old.Annotations) {
				d.Generation = old.Generation + 1
			}
		},
		Validate:       func(_ context.Context, d *appsv1.Deployment) field.ErrorList { return validate(d) },
		ValidateUpdate: func(_ context.Context, d, old *appsv1.Deployment) field.ErrorList { return validateChange(d, old) },
		WarnCreate: func(_ context.Context, d *appsv1.Deployment) []string {
			return append(template.NameWarnings(d.Name), template.Warnings(&d.Spec.Template)...)
		},
		WarnUpdate: func(_ context.Context, d, old *appsv1.Deployment) []string {
			if d.Generation == old.Generation {
				return nil
			}
			return template.Warnings(&d.Spec.Template)
		},
		Reset: []string{"status"},
	}
}

// statusRules let its controller change annotations with the status, which say the
// revision.
func statusRules() resource.Rules[*appsv1.Deployment] {
	return resource.Rules[*appsv1.Deployment]{
		PrepareUpdate: func(_ context.Context, d, old *appsv1.Deployment) {
			d.Spec, d.Labels = old.Spec, old.Labels
		},
		ValidateUpdate: func(_ context.Context, d, old *appsv1.Deployment) field.ErrorList {
			return validateStatus(&d.Status, &old.Status, field.NewPath("status"))
		},
		Reset: []string{"spec", "metadata.labels"},
	}
}

func selector(d *appsv1.Deployment) (string, error) {
	s, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return "", err
	}
	return s.String(), nil
}

func columns() resource.Columns[*appsv1.Deployment] {
	spec, status := appsv1.DeploymentSpec{}.SwaggerDoc(), appsv1.DeploymentStatus{}.SwaggerDoc()
	return resource.Columns[*appsv1.Deployment]{
		Columns: append([]resource.Column{
			resource.Name(),
			{Name: "Ready", Type: "string", Description: "Number of the pod with ready state"},
			{Name: "Up-to-date", Type: "string", Description: status["updatedReplicas"]},
			{Name: "Available", Type: "string", Description: status["availableReplicas"]},
			resource.AgeColumn(),
		}, template.WideColumns(spec["selector"])...),
		Row: func(d *appsv1.Deployment) []any {
			// What does not parse cannot be stored.
			shown, _ := selector(d)
			return append([]any{
				d.Name, fmt.Sprintf("%d/%d", d.Status.ReadyReplicas, ptr.Deref(d.Spec.Replicas, 0)),
				int64(d.Status.UpdatedReplicas), int64(d.Status.AvailableReplicas), resource.Age(d),
			}, template.WideCells(&d.Spec.Template, shown)...)
		},
	}
}
