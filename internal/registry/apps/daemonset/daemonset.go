// Package daemonset owns the DaemonSet kind of apps/v1: defaults, validation, table and
// storage with the status subresource. Making its pods is
// internal/controller/daemonset's.
package daemonset

import (
	"context"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes daemon sets.
func Definition() resource.Definition[*appsv1.DaemonSet] {
	return resource.Definition[*appsv1.DaemonSet]{
		GroupVersion: appsv1.SchemeGroupVersion,
		Plural:       "daemonsets",
		Singular:     "daemonset",
		ShortNames:   []string{"ds"},
		Categories:   []string{"all"},
		Namespaced:   true,
		New:          func() *appsv1.DaemonSet { return &appsv1.DaemonSet{} },
		NewList:      func() runtime.Object { return &appsv1.DaemonSetList{} },
		Default:      setDefaults,
		Rules: resource.Rules[*appsv1.DaemonSet]{
			PrepareCreate: func(_ context.Context, d *appsv1.DaemonSet) {
				d.Status = appsv1.DaemonSetStatus{}
				d.Generation = 1
				setTemplateGeneration(d, max(templateGeneration(d), 1))
			},
			PrepareUpdate:  func(_ context.Context, d, old *appsv1.DaemonSet) { prepareUpdate(d, old) },
			Validate:       func(_ context.Context, d *appsv1.DaemonSet) field.ErrorList { return validate(d) },
			ValidateUpdate: func(_ context.Context, d, old *appsv1.DaemonSet) field.ErrorList { return validateUpdate(d, old) },
			WarnCreate:     func(_ context.Context, d *appsv1.DaemonSet) []string { return warnings(d) },
			WarnUpdate: func(_ context.Context, d, old *appsv1.DaemonSet) []string {
				if templateGeneration(d) == templateGeneration(old) {
					return nil
				}
				return warnings(d)
			},
			Reset: []string{"status"},
		},
		Status: &resource.Rules[*appsv1.DaemonSet]{
			PrepareUpdate: func(_ context.Context, d, old *appsv1.DaemonSet) {
				d.Spec = old.Spec
				setTemplateGeneration(d, max(templateGeneration(old), 1))
			},
			ValidateUpdate: func(_ context.Context, d, old *appsv1.DaemonSet) field.ErrorList { return validateStatus(d, old) },
			Reset:          []string{"spec"},
		},
		Columns: columns(),
	}
}

func setDefaults(d *appsv1.DaemonSet) {
	podspec.SetDefaults(&d.Spec.Template.Spec)
	s := &d.Spec.UpdateStrategy
	if s.Type == "" {
		s.Type = appsv1.RollingUpdateDaemonSetStrategyType
	}
	if s.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		if s.RollingUpdate == nil {
			s.RollingUpdate = &appsv1.RollingUpdateDaemonSet{}
		}
		if s.RollingUpdate.MaxUnavailable == nil {
			s.RollingUpdate.MaxUnavailable = new(intstr.FromInt32(1))
		}
		if s.RollingUpdate.MaxSurge == nil {
			s.RollingUpdate.MaxSurge = new(intstr.FromInt32(0))
		}
	}
	if d.Spec.RevisionHistoryLimit == nil {
		d.Spec.RevisionHistoryLimit = new(int32(10))
	}
}

// prepareUpdate counts changes of the spec and, in an annotation, those of the template.
func prepareUpdate(d, old *appsv1.DaemonSet) {
	d.Status = old.Status
	generation := max(templateGeneration(old), 1)
	if !equality.Semantic.DeepEqual(d.Spec.Template, old.Spec.Template) {
		generation++
	}
	setTemplateGeneration(d, generation)
	if !equality.Semantic.DeepEqual(d.Spec, old.Spec) {
		d.Generation = old.Generation + 1
	}
}

// templateGeneration is how often the template was written. What is no number counts as
// none.
func templateGeneration(d *appsv1.DaemonSet) int64 {
	n, err := strconv.ParseInt(d.Annotations[appsv1.DeprecatedTemplateGeneration], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func setTemplateGeneration(d *appsv1.DaemonSet, n int64) {
	if d.Annotations == nil {
		d.Annotations = map[string]string{}
	}
	d.Annotations[appsv1.DeprecatedTemplateGeneration] = strconv.FormatInt(n, 10)
}

func warnings(d *appsv1.DaemonSet) []string {
	return podspec.Warnings(&d.Spec.Template.ObjectMeta, &d.Spec.Template.Spec, field.NewPath("spec", "template"))
}

func columns() resource.Columns[*appsv1.DaemonSet] {
	status := appsv1.DaemonSetStatus{}.SwaggerDoc()
	return resource.Columns[*appsv1.DaemonSet]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Desired", Type: "integer", Description: status["desiredNumberScheduled"]},
			{Name: "Current", Type: "integer", Description: status["currentNumberScheduled"]},
			{Name: "Ready", Type: "integer", Description: status["numberReady"]},
			{Name: "Up-to-date", Type: "integer", Description: status["updatedNumberScheduled"]},
			{Name: "Available", Type: "integer", Description: status["numberAvailable"]},
			{Name: "Node Selector", Type: "string", Description: "NodeSelector is a selector which must be true for the pod to fit on a node. Selector which must match a node's labels for the pod to be scheduled on that node."},
			resource.AgeColumn(),
			{Name: "Containers", Type: "string", Priority: 1, Description: "Names of each container in the template."},
			{Name: "Images", Type: "string", Priority: 1, Description: "Images referenced by each container in the template."},
			{Name: "Selector", Type: "string", Priority: 1, Description: appsv1.DaemonSetSpec{}.SwaggerDoc()["selector"]},
		},
		Row: func(d *appsv1.DaemonSet) []any {
			s, names, images := d.Status, "", ""
			names, images = podspec.Containers(&d.Spec.Template.Spec)
			return []any{
				d.Name, int64(s.DesiredNumberScheduled), int64(s.CurrentNumberScheduled), int64(s.NumberReady), int64(s.UpdatedNumberScheduled), int64(s.NumberAvailable),
				labels.FormatLabels(d.Spec.Template.Spec.NodeSelector), resource.Age(d), names, images, metav1.FormatLabelSelector(d.Spec.Selector),
			}
		},
	}
}
