package horizontalpodautoscaler

import (
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/diff"
)

// full uses all kinds of metrics.
func full() *scaler {
	one := resource.MustParse("1500m")
	name := autoscalingv2.MetricIdentifier{Name: "m", Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}
	ref := autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}
	s := &scaler{
		ObjectMeta: metav1.ObjectMeta{Name: "h", Annotations: map[string]string{"mine": "x"}},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: ref, MaxReplicas: 4, Metrics: []autoscalingv2.MetricSpec{
			processors(55),
			{Type: "Resource", Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceMemory, Target: value(nil, &one)}},
			{Type: "ContainerResource", ContainerResource: &autoscalingv2.ContainerResourceMetricSource{Name: corev1.ResourceCPU, Container: "c", Target: share(new(int32(7)), nil)}},
			{Type: "Pods", Pods: &autoscalingv2.PodsMetricSource{Metric: name, Target: value(nil, &one)}},
			{Type: "Object", Object: &autoscalingv2.ObjectMetricSource{Metric: name, DescribedObject: ref, Target: value(&one, nil)}},
			{Type: "External", External: &autoscalingv2.ExternalMetricSource{Metric: name, Target: value(&one, nil)}},
		}},
		Status: autoscalingv2.HorizontalPodAutoscalerStatus{ObservedGeneration: new(int64(3)), CurrentReplicas: 1, DesiredReplicas: 2,
			CurrentMetrics: []autoscalingv2.MetricStatus{
				{Type: "Resource", Resource: &autoscalingv2.ResourceMetricStatus{Name: corev1.ResourceCPU, Current: current{AverageUtilization: new(int32(44)), AverageValue: &one}}},
				{Type: "ContainerResource", ContainerResource: &autoscalingv2.ContainerResourceMetricStatus{Name: corev1.ResourceCPU, Container: "c", Current: current{AverageValue: &one}}},
				{Type: "Pods", Pods: &autoscalingv2.PodsMetricStatus{Metric: name, Current: current{AverageValue: &one}}},
				{Type: "Object", Object: &autoscalingv2.ObjectMetricStatus{Metric: name, DescribedObject: ref, Current: current{Value: &one}}},
				{Type: "External", External: &autoscalingv2.ExternalMetricStatus{Metric: name, Current: current{Value: &one}}},
			},
			Conditions: []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: "AbleToScale", Status: "True", Reason: "R", Message: "m"}},
		},
	}
	s.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: new(int32(5))}}
	setDefaults(s)
	return s
}

func TestVersionOneKeepsWhatVersionTwoSays(t *testing.T) {
	s := runtime.NewScheme()
	if err := RegisterOlder(s); err != nil {
		t.Fatal(err)
	}
	before := full()
	there, back := &autoscalingv1.HorizontalPodAutoscalerList{}, &autoscalingv2.HorizontalPodAutoscalerList{}
	if err := s.Convert(&autoscalingv2.HorizontalPodAutoscalerList{Items: []scaler{*before}}, there, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Convert(there, back, nil); err != nil {
		t.Fatal(err)
	}
	if !equality.Semantic.DeepEqual(before, &back.Items[0]) || !equality.Semantic.DeepEqual(before, full()) {
		t.Errorf("it has changed: %s", diff.Diff(before, &back.Items[0]))
	}
	o := there.Items[0]
	if *o.Spec.TargetCPUUtilizationPercentage != 55 || *o.Status.CurrentCPUUtilizationPercentage != 44 || o.Status.DesiredReplicas != 2 || o.Annotations["mine"] != "x" {
		t.Errorf("version 1 says %+v", o)
	}
	if got := o.Annotations[metricsAnnotation]; !strings.HasPrefix(got, `[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"1500m"}}`) {
		t.Errorf("metrics in an annotation: %s", got)
	}
}

func TestVersionOneHasDefaults(t *testing.T) {
	for name, tc := range map[string]struct {
		o       older
		percent int32
	}{
		"nothing":         {older{}, 80},
		"a target":        {older{Spec: autoscalingv1.HorizontalPodAutoscalerSpec{TargetCPUUtilizationPercentage: new(int32(9))}}, 9},
		"no annotation":   {older{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{metricsAnnotation: "{", behaviorAnnotation: "[]"}}}, 80},
		"a use, no other": {older{Status: autoscalingv1.HorizontalPodAutoscalerStatus{CurrentCPUUtilizationPercentage: new(int32(1))}}, 80},
	} {
		var s scaler
		if err := fromOlder(&tc.o, &s); err != nil {
			t.Fatal(err)
		}
		if len(s.Spec.Metrics) != 1 || *s.Spec.Metrics[0].Resource.Target.AverageUtilization != tc.percent || *s.Spec.MinReplicas != 1 || s.Annotations != nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}
