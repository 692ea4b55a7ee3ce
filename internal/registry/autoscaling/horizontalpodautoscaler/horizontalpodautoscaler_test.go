package horizontalpodautoscaler

import (
	"fmt"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
)

func of(change func(*autoscalingv2.HorizontalPodAutoscalerSpec)) *scaler {
	s := &scaler{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MaxReplicas: 3, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "web"}}}
	if change != nil {
		change(&s.Spec)
	}
	setDefaults(s)
	return s
}

func by(m autoscalingv2.MetricSpec) func(*autoscalingv2.HorizontalPodAutoscalerSpec) {
	return func(s *autoscalingv2.HorizontalPodAutoscalerSpec) { s.Metrics = []autoscalingv2.MetricSpec{m} }
}

func rules(r autoscalingv2.HPAScalingRules) func(*autoscalingv2.HorizontalPodAutoscalerSpec) {
	return func(s *autoscalingv2.HorizontalPodAutoscalerSpec) {
		s.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: &r}
	}
}

func TestAutoscalersThatAreRefused(t *testing.T) {
	type (
		s = autoscalingv2.HorizontalPodAutoscalerSpec
		m = autoscalingv2.MetricSpec
	)
	one := new(resource.MustParse("1"))
	amount := autoscalingv2.MetricTarget{Type: "AverageValue", AverageValue: one}
	named := autoscalingv2.MetricIdentifier{Name: "queue"}
	policy := autoscalingv2.HPAScalingPolicy{Type: "Pods", Value: 1, PeriodSeconds: 1}
	for name, tc := range map[string]struct {
		change func(*s)
		want   string
	}{
		"good":         {nil, "<nil>"},
		"good rules":   {rules(autoscalingv2.HPAScalingRules{}), "<nil>"},
		"pods":         {by(m{Type: "Pods", Pods: &autoscalingv2.PodsMetricSource{Metric: named, Target: amount}}), "<nil>"},
		"none":         {func(s *s) { s.MaxReplicas = 0 }, "spec.maxReplicas: Invalid value: 0: must be greater than 0"},
		"fewer":        {func(s *s) { s.MinReplicas = new(int32(4)) }, "must be greater than or equal to `minReplicas`"},
		"zero":         {func(s *s) { s.MinReplicas = new(int32(0)) }, "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1"},
		"target":       {func(s *s) { s.ScaleTargetRef.Kind = "" }, "spec.scaleTargetRef.kind: Required value"},
		"no type":      {by(m{}), "spec.metrics[0].type: Required value"},
		"type":         {by(m{Type: "x"}), `spec.metrics[0].type: Unsupported value: "x"`},
		"no source":    {by(m{Type: "Pods"}), "spec.metrics[0].pods: Required value: must populate information for the given metric source"},
		"other source": {by(m{Type: "Resource", Resource: &autoscalingv2.ResourceMetricSource{Name: "cpu", Target: amount}, Pods: &autoscalingv2.PodsMetricSource{}}), "spec.metrics[0].pods: Forbidden: must populate the given metric source only"},
		"no name":      {by(m{Type: "External", External: &autoscalingv2.ExternalMetricSource{Target: amount}}), "spec.metrics[0].external.metric.name: Required value: must specify a metric name"},
		"both":         {by(m{Type: "External", External: &autoscalingv2.ExternalMetricSource{Metric: named, Target: autoscalingv2.MetricTarget{Type: "Value", Value: one, AverageValue: one}}}), "may not set both a target value for metric and a per-pod target"},
		"neither":      {by(m{Type: "Object", Object: &autoscalingv2.ObjectMetricSource{Metric: named}}), "must set either a target value or averageValue"},
		"target type":  {by(m{Type: "Resource", Resource: &autoscalingv2.ResourceMetricSource{Name: "cpu", Target: autoscalingv2.MetricTarget{Type: "x", AverageValue: one}}}), "must be either Utilization, Value, or AverageValue"},
		"negative":     {by(m{Type: "Resource", Resource: &autoscalingv2.ResourceMetricSource{Name: "cpu", Target: autoscalingv2.MetricTarget{Type: "AverageValue", AverageValue: new(resource.MustParse("-1"))}}}), "must be positive"},
		"utilization":  {by(m{Type: "Resource", Resource: &autoscalingv2.ResourceMetricSource{Name: "cpu", Target: autoscalingv2.MetricTarget{Type: "Utilization", AverageUtilization: new(int32(0))}}}), "must be greater than 0"},
		"container":    {by(m{Type: "ContainerResource", ContainerResource: &autoscalingv2.ContainerResourceMetricSource{Name: "cpu", Target: amount}}), "container: Required value: must specify a container"},
		"window":       {rules(autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: new(int32(3601))}), "must be less than or equal to 3600"},
		"select":       {rules(autoscalingv2.HPAScalingRules{SelectPolicy: new(autoscalingv2.ScalingPolicySelect("x"))}), "spec.behavior.scaleUp.selectPolicy: Unsupported value"},
		"no policies":  {rules(autoscalingv2.HPAScalingRules{Policies: []autoscalingv2.HPAScalingPolicy{}}), "must specify at least one Policy"},
		"period":       {rules(autoscalingv2.HPAScalingRules{Policies: []autoscalingv2.HPAScalingPolicy{policy, {Type: "Pods", Value: 1, PeriodSeconds: 1801}}}), "policies[1].periodSeconds: Invalid value: 1801: must be less than or equal to 1800"},
	} {
		if got := fmt.Sprint(validate(of(tc.change)).ToAggregate()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestDefaultsOfAutoscalers(t *testing.T) {
	s := of(rules(autoscalingv2.HPAScalingRules{}))
	up, down := s.Spec.Behavior.ScaleUp, s.Spec.Behavior.ScaleDown
	if *s.Spec.MinReplicas != 1 || *s.Spec.Metrics[0].Resource.Target.AverageUtilization != 80 {
		t.Errorf("spec %+v", s.Spec)
	}
	if *up.StabilizationWindowSeconds != 0 || len(up.Policies) != 2 || *up.SelectPolicy != "Max" || down.StabilizationWindowSeconds != nil || len(down.Policies) != 1 {
		t.Errorf("up %+v, down %+v", up, down)
	}
}

func TestRowsOfAutoscalers(t *testing.T) {
	s := of(func(s *autoscalingv2.HorizontalPodAutoscalerSpec) {
		q := new(resource.MustParse("5"))
		s.Metrics = []autoscalingv2.MetricSpec{
			{Type: "External", External: &autoscalingv2.ExternalMetricSource{Target: autoscalingv2.MetricTarget{AverageValue: q}}},
			{Type: "Resource", Resource: &autoscalingv2.ResourceMetricSource{Name: "cpu", Target: autoscalingv2.MetricTarget{AverageUtilization: new(int32(50))}}},
			{Type: "Pods", Pods: &autoscalingv2.PodsMetricSource{Target: autoscalingv2.MetricTarget{AverageValue: q}}},
		}
	})
	s.Name, s.Status.CurrentReplicas = "web", 2
	s.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{}, {Resource: &autoscalingv2.ResourceMetricStatus{Current: autoscalingv2.MetricValueStatus{AverageUtilization: new(int32(10))}}}}
	if got, want := fmt.Sprint(columns().Row(s)), "[web Deployment/web <unknown>/5 (avg), cpu: 10%/50% + 1 more... 1 3 2 <unknown>]"; got != want {
		t.Errorf("row %s, want %s", got, want)
	}
}
