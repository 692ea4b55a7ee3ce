// Package horizontalpodautoscaler owns the HorizontalPodAutoscaler kind of autoscaling/v2:
// defaults, validation, table and storage with the status subresource; and how autoscaling/v1
// says the same (older.go). Nothing scales by
// metrics here, and no metrics are served: objects are stored for what is installed.
package horizontalpodautoscaler

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
)

type scaler = autoscalingv2.HorizontalPodAutoscaler

// Unserved is what is said of every autoscaler that is made.
const Unserved = "spec: nothing scales by metrics in Laterna, which serves no metrics.k8s.io: the object is only stored, unless something that you install acts on it"

// Definition describes autoscalers.
func Definition() resource.Definition[*scaler] {
	halves := resource.Halves[*scaler, autoscalingv2.HorizontalPodAutoscalerSpec, autoscalingv2.HorizontalPodAutoscalerStatus]{
		Spec:   func(s *scaler) *autoscalingv2.HorizontalPodAutoscalerSpec { return &s.Spec },
		Status: func(s *scaler) *autoscalingv2.HorizontalPodAutoscalerStatus { return &s.Status },
	}
	rules := halves.Main(validate, nil)
	rules.WarnCreate = resource.OnlyStored[*scaler](Unserved)
	return resource.Definition[*scaler]{
		GroupVersion: autoscalingv2.SchemeGroupVersion,
		Plural:       "horizontalpodautoscalers",
		Singular:     "horizontalpodautoscaler",
		ShortNames:   []string{"hpa"},
		Categories:   []string{"all"},
		Namespaced:   true,
		New:          func() *scaler { return &scaler{} },
		NewList:      func() runtime.Object { return &autoscalingv2.HorizontalPodAutoscalerList{} },
		Default:      setDefaults,
		Rules:        rules,
		Status: halves.Sub(func(s, _ *scaler) field.ErrorList {
			status := field.NewPath("status")
			return append(apivalidation.ValidateNonnegativeField(int64(s.Status.CurrentReplicas), status.Child("currentReplicas")),
				apivalidation.ValidateNonnegativeField(int64(s.Status.DesiredReplicas), status.Child("desiredReplicas"))...)
		}),
		Columns: columns(),
	}
}

// usualUtilization is what pods may use of the processors that they ask for, in percent.
const usualUtilization = 80

func setDefaults(s *scaler) {
	if s.Spec.MinReplicas == nil {
		s.Spec.MinReplicas = new(int32(1))
	}
	if len(s.Spec.Metrics) == 0 {
		s.Spec.Metrics = []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
			Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: new(int32(usualUtilization))},
		}}}
	}
	if b := s.Spec.Behavior; b != nil {
		percent := autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15}
		b.ScaleUp = withDefaults(b.ScaleUp, new(int32(0)), autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: 15}, percent)
		b.ScaleDown = withDefaults(b.ScaleDown, nil, percent)
	}
}

// withDefaults fills in what rules leave out.
func withDefaults(r *autoscalingv2.HPAScalingRules, window *int32, policies ...autoscalingv2.HPAScalingPolicy) *autoscalingv2.HPAScalingRules {
	if r == nil {
		r = &autoscalingv2.HPAScalingRules{}
	}
	if r.SelectPolicy == nil {
		r.SelectPolicy = new(autoscalingv2.MaxChangePolicySelect)
	}
	if r.StabilizationWindowSeconds == nil {
		r.StabilizationWindowSeconds = window
	}
	if r.Policies == nil {
		r.Policies = policies
	}
	return r
}
