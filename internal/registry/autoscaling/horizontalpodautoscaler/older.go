package horizontalpodautoscaler

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
)

// Version v1 of the API has one metric, the use of processors; all else stands in annotations,
// as in Kubernetes, so that who reads and writes by v1 keeps what v2 says.

type older = autoscalingv1.HorizontalPodAutoscaler

const (
	metricsAnnotation    = "autoscaling.alpha.kubernetes.io/metrics"
	currentAnnotation    = "autoscaling.alpha.kubernetes.io/current-metrics"
	conditionsAnnotation = "autoscaling.alpha.kubernetes.io/conditions"
	behaviorAnnotation   = "autoscaling.alpha.kubernetes.io/behavior"
)

// RegisterOlder tells s how autoscalers are converted from v1 to v2 and back.
func RegisterOlder(s *runtime.Scheme) error {
	return errors.Join(
		s.AddConversionFunc((*older)(nil), (*scaler)(nil), func(a, b any, _ conversion.Scope) error { return fromOlder(a.(*older), b.(*scaler)) }),
		s.AddConversionFunc((*scaler)(nil), (*older)(nil), func(a, b any, _ conversion.Scope) error { return toOlder(a.(*scaler), b.(*older)) }),
		s.AddConversionFunc((*autoscalingv1.HorizontalPodAutoscalerList)(nil), (*autoscalingv2.HorizontalPodAutoscalerList)(nil), func(a, b any, _ conversion.Scope) error {
			from, to := a.(*autoscalingv1.HorizontalPodAutoscalerList), b.(*autoscalingv2.HorizontalPodAutoscalerList)
			to.ListMeta, to.Items = from.ListMeta, make([]scaler, len(from.Items))
			return each(from.Items, to.Items, fromOlder)
		}),
		s.AddConversionFunc((*autoscalingv2.HorizontalPodAutoscalerList)(nil), (*autoscalingv1.HorizontalPodAutoscalerList)(nil), func(a, b any, _ conversion.Scope) error {
			from, to := a.(*autoscalingv2.HorizontalPodAutoscalerList), b.(*autoscalingv1.HorizontalPodAutoscalerList)
			to.ListMeta, to.Items = from.ListMeta, make([]older, len(from.Items))
			return each(from.Items, to.Items, toOlder)
		}),
	)
}

func each[A, B any](from []A, to []B, convert func(*A, *B) error) error {
	for i := range from {
		if err := convert(&from[i], &to[i]); err != nil {
			return err
		}
	}
	return nil
}

// toOlder says in v1 what an autoscaler is.
func toOlder(from *scaler, to *older) error {
	from = from.DeepCopy()
	to.ObjectMeta = from.ObjectMeta
	to.Spec = autoscalingv1.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv1.CrossVersionObjectReference(from.Spec.ScaleTargetRef), MinReplicas: from.Spec.MinReplicas, MaxReplicas: from.Spec.MaxReplicas,
	}
	to.Status = autoscalingv1.HorizontalPodAutoscalerStatus{
		ObservedGeneration: from.Status.ObservedGeneration, LastScaleTime: from.Status.LastScaleTime,
		CurrentReplicas: from.Status.CurrentReplicas, DesiredReplicas: from.Status.DesiredReplicas,
	}
	var others []autoscalingv1.MetricSpec
	for _, m := range from.Spec.Metrics {
		if ofProcessors(m) && to.Spec.TargetCPUUtilizationPercentage == nil {
			to.Spec.TargetCPUUtilizationPercentage = m.Resource.Target.AverageUtilization
			continue
		}
		others = append(others, olderMetric(m))
	}
	var current []autoscalingv1.MetricStatus
	for _, m := range from.Status.CurrentMetrics {
		current = append(current, olderStatus(m))
		if r := m.Resource; r != nil && m.Type == autoscalingv2.ResourceMetricSourceType && r.Name == corev1.ResourceCPU && r.Current.AverageUtilization != nil {
			to.Status.CurrentCPUUtilizationPercentage = r.Current.AverageUtilization
		}
	}
	notes := maps.Clone(withoutNotes(to.Annotations))
	for key, value := range map[string]any{
		metricsAnnotation: noneIfEmpty(others), currentAnnotation: noneIfEmpty(current), conditionsAnnotation: noneIfEmpty(from.Status.Conditions), behaviorAnnotation: noneIfNil(from.Spec.Behavior),
	} {
		if value == nil {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("encoding annotation %s: %w", key, err)
		}
		if notes == nil {
			notes = map[string]string{}
		}
		notes[key] = string(text)
	}
	to.Annotations = notes
	return nil
}

// fromOlder is what v1 says of an autoscaler, with its defaults. An annotation that cannot be
// read is none.
func fromOlder(from *older, to *scaler) error {
	from = from.DeepCopy()
	to.ObjectMeta = from.ObjectMeta
	to.Spec = autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference(from.Spec.ScaleTargetRef), MinReplicas: from.Spec.MinReplicas, MaxReplicas: from.Spec.MaxReplicas,
	}
	to.Status = autoscalingv2.HorizontalPodAutoscalerStatus{
		ObservedGeneration: from.Status.ObservedGeneration, LastScaleTime: from.Status.LastScaleTime,
		CurrentReplicas: from.Status.CurrentReplicas, DesiredReplicas: from.Status.DesiredReplicas,
	}
	if target := from.Spec.TargetCPUUtilizationPercentage; target != nil {
		to.Spec.Metrics = []autoscalingv2.MetricSpec{processors(*target)}
	}
	for _, m := range note[[]autoscalingv1.MetricSpec](from.Annotations, metricsAnnotation) {
		to.Spec.Metrics = append(to.Spec.Metrics, newerMetric(m))
	}
	for _, m := range note[[]autoscalingv1.MetricStatus](from.Annotations, currentAnnotation) {
		to.Status.CurrentMetrics = append(to.Status.CurrentMetrics, newerStatus(m))
	}
	if use := from.Status.CurrentCPUUtilizationPercentage; use != nil && len(to.Status.CurrentMetrics) == 0 {
		to.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricStatus{
			Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageUtilization: use}}}}
	}
	to.Status.Conditions = note[[]autoscalingv2.HorizontalPodAutoscalerCondition](from.Annotations, conditionsAnnotation)
	to.Spec.Behavior = note[*autoscalingv2.HorizontalPodAutoscalerBehavior](from.Annotations, behaviorAnnotation)
	to.Annotations = withoutNotes(to.Annotations)
	setDefaults(to)
	return nil
}

// withoutNotes are annotations that say nothing of v2.
func withoutNotes(all map[string]string) map[string]string {
	maps.DeleteFunc(all, func(key, _ string) bool {
		return slices.Contains([]string{metricsAnnotation, currentAnnotation, conditionsAnnotation, behaviorAnnotation}, key)
	})
	if len(all) == 0 {
		return nil
	}
	return all
}

func note[T any](annotations map[string]string, key string) (value T) {
	if json.Unmarshal([]byte(annotations[key]), &value) != nil {
		return *new(T)
	}
	return value
}

func noneIfEmpty[T any](list []T) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

func noneIfNil[T any](value *T) any {
	if value == nil {
		return nil
	}
	return value
}

func ofProcessors(m autoscalingv2.MetricSpec) bool {
	return m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil && m.Resource.Name == corev1.ResourceCPU && m.Resource.Target.AverageUtilization != nil
}

// processors is the metric of v1.
func processors(percent int32) autoscalingv2.MetricSpec {
	return autoscalingv2.MetricSpec{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
		Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent},
	}}
}
