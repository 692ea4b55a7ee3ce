package horizontalpodautoscaler

import (
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apiresource "k8s.io/apimachinery/pkg/api/resource"

	"laterna.dev/laterna/internal/registry/resource"
)

func columns() resource.Columns[*scaler] {
	spec, status := autoscalingv2.HorizontalPodAutoscalerSpec{}.SwaggerDoc(), autoscalingv2.HorizontalPodAutoscalerStatus{}.SwaggerDoc()
	return resource.Columns[*scaler]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Reference", Type: "string", Description: spec["scaleTargetRef"]},
			{Name: "Targets", Type: "string", Description: spec["metrics"]},
			{Name: "MinPods", Type: "string", Description: spec["minReplicas"]},
			{Name: "MaxPods", Type: "string", Description: spec["maxReplicas"]},
			{Name: "Replicas", Type: "string", Description: status["currentReplicas"]},
			resource.AgeColumn(),
		},
		Row: func(s *scaler) []any {
			least, ref := "<unset>", s.Spec.ScaleTargetRef
			if s.Spec.MinReplicas != nil {
				least = fmt.Sprint(*s.Spec.MinReplicas)
			}
			return []any{s.Name, ref.Kind + "/" + ref.Name, metrics(s), least, int64(s.Spec.MaxReplicas), int64(s.Status.CurrentReplicas), resource.Age(s)}
		},
	}
}

// shownMetrics is how many metrics a table names.
const shownMetrics = 2

func metrics(s *scaler) string {
	if len(s.Spec.Metrics) == 0 {
		return "<none>"
	}
	var list []string
	for i, m := range s.Spec.Metrics {
		var now autoscalingv2.MetricStatus
		if i < len(s.Status.CurrentMetrics) {
			now = s.Status.CurrentMetrics[i]
		}
		list = append(list, metric(m, now))
	}
	if len(list) > shownMetrics {
		return fmt.Sprintf("%s + %d more...", strings.Join(list[:shownMetrics], ", "), len(list)-shownMetrics)
	}
	return strings.Join(list, ", ")
}

// metric is what is and what is to be.
func metric(m autoscalingv2.MetricSpec, now autoscalingv2.MetricStatus) string {
	var value autoscalingv2.MetricValueStatus
	switch {
	case m.External != nil:
		if now.External != nil {
			value = now.External.Current
		}
		return ratio(m.External.Target, value)
	case m.Object != nil:
		if now.Object != nil {
			value = now.Object.Current
		}
		return ratio(m.Object.Target, value)
	case m.Pods != nil:
		if now.Pods != nil {
			value = now.Pods.Current
		}
		return quantity(value.AverageValue) + "/" + quantity(m.Pods.Target.AverageValue)
	case m.Resource != nil:
		if now.Resource != nil {
			value = now.Resource.Current
		}
		return m.Resource.Name.String() + ": " + use(m.Resource.Target, value)
	case m.ContainerResource != nil:
		if now.ContainerResource != nil {
			value = now.ContainerResource.Current
		}
		return m.ContainerResource.Name.String() + ": " + use(m.ContainerResource.Target, value)
	}
	return "<unknown type>"
}

func ratio(t autoscalingv2.MetricTarget, now autoscalingv2.MetricValueStatus) string {
	if t.AverageValue != nil {
		return quantity(now.AverageValue) + "/" + quantity(t.AverageValue) + " (avg)"
	}
	return quantity(now.Value) + "/" + quantity(t.Value)
}

// use is that of a resource, as an amount or in percent.
func use(t autoscalingv2.MetricTarget, now autoscalingv2.MetricValueStatus) string {
	if t.AverageValue != nil {
		return quantity(now.AverageValue) + "/" + quantity(t.AverageValue)
	}
	percent := func(p *int32, unset string) string {
		if p == nil {
			return unset
		}
		return fmt.Sprintf("%d%%", *p)
	}
	return percent(now.AverageUtilization, "<unknown>") + "/" + percent(t.AverageUtilization, "<auto>")
}

func quantity(q *apiresource.Quantity) string {
	if q == nil {
		return "<unknown>"
	}
	return q.String()
}
