package horizontalpodautoscaler

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
)

// The metrics of v2 in the form that they have in the annotations of v1.

type (
	target  = autoscalingv2.MetricTarget
	current = autoscalingv2.MetricValueStatus
)

func olderMetric(m autoscalingv2.MetricSpec) (o autoscalingv1.MetricSpec) {
	o.Type = autoscalingv1.MetricSourceType(m.Type)
	if s := m.Object; s != nil {
		o.Object = &autoscalingv1.ObjectMetricSource{
			Target: autoscalingv1.CrossVersionObjectReference(s.DescribedObject), MetricName: s.Metric.Name, Selector: s.Metric.Selector,
			TargetValue: ptr.Deref(s.Target.Value, resource.Quantity{}), AverageValue: s.Target.AverageValue,
		}
	}
	if s := m.Pods; s != nil {
		o.Pods = &autoscalingv1.PodsMetricSource{MetricName: s.Metric.Name, Selector: s.Metric.Selector, TargetAverageValue: ptr.Deref(s.Target.AverageValue, resource.Quantity{})}
	}
	if s := m.Resource; s != nil {
		o.Resource = &autoscalingv1.ResourceMetricSource{Name: s.Name, TargetAverageUtilization: s.Target.AverageUtilization, TargetAverageValue: s.Target.AverageValue}
	}
	if s := m.ContainerResource; s != nil {
		o.ContainerResource = &autoscalingv1.ContainerResourceMetricSource{
			Name: s.Name, Container: s.Container, TargetAverageUtilization: s.Target.AverageUtilization, TargetAverageValue: s.Target.AverageValue,
		}
	}
	if s := m.External; s != nil {
		o.External = &autoscalingv1.ExternalMetricSource{MetricName: s.Metric.Name, MetricSelector: s.Metric.Selector, TargetValue: s.Target.Value, TargetAverageValue: s.Target.AverageValue}
	}
	return o
}

func newerMetric(o autoscalingv1.MetricSpec) (m autoscalingv2.MetricSpec) {
	m.Type = autoscalingv2.MetricSourceType(o.Type)
	if s := o.Object; s != nil {
		m.Object = &autoscalingv2.ObjectMetricSource{
			DescribedObject: autoscalingv2.CrossVersionObjectReference(s.Target), Metric: autoscalingv2.MetricIdentifier{Name: s.MetricName, Selector: s.Selector},
			Target: value(&s.TargetValue, s.AverageValue),
		}
	}
	if s := o.Pods; s != nil {
		m.Pods = &autoscalingv2.PodsMetricSource{Metric: autoscalingv2.MetricIdentifier{Name: s.MetricName, Selector: s.Selector}, Target: value(nil, &s.TargetAverageValue)}
	}
	if s := o.Resource; s != nil {
		m.Resource = &autoscalingv2.ResourceMetricSource{Name: s.Name, Target: share(s.TargetAverageUtilization, s.TargetAverageValue)}
	}
	if s := o.ContainerResource; s != nil {
		m.ContainerResource = &autoscalingv2.ContainerResourceMetricSource{Name: s.Name, Container: s.Container, Target: share(s.TargetAverageUtilization, s.TargetAverageValue)}
	}
	if s := o.External; s != nil {
		m.External = &autoscalingv2.ExternalMetricSource{Metric: autoscalingv2.MetricIdentifier{Name: s.MetricName, Selector: s.MetricSelector}, Target: value(s.TargetValue, s.TargetAverageValue)}
	}
	return m
}

// value is a target by value, or by value for each pod.
func value(all, average *resource.Quantity) target {
	if average != nil {
		return target{Type: autoscalingv2.AverageValueMetricType, AverageValue: average}
	}
	return target{Type: autoscalingv2.ValueMetricType, Value: all}
}

// share is a target by use for each pod, in percent of what it asks for or by value.
func share(percent *int32, average *resource.Quantity) target {
	if percent != nil {
		return target{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: percent}
	}
	return target{Type: autoscalingv2.AverageValueMetricType, AverageValue: average}
}

func olderStatus(m autoscalingv2.MetricStatus) (o autoscalingv1.MetricStatus) {
	o.Type = autoscalingv1.MetricSourceType(m.Type)
	if s := m.Object; s != nil {
		o.Object = &autoscalingv1.ObjectMetricStatus{
			Target: autoscalingv1.CrossVersionObjectReference(s.DescribedObject), MetricName: s.Metric.Name, Selector: s.Metric.Selector,
			CurrentValue: ptr.Deref(s.Current.Value, resource.Quantity{}), AverageValue: s.Current.AverageValue,
		}
	}
	if s := m.Pods; s != nil {
		o.Pods = &autoscalingv1.PodsMetricStatus{MetricName: s.Metric.Name, Selector: s.Metric.Selector, CurrentAverageValue: ptr.Deref(s.Current.AverageValue, resource.Quantity{})}
	}
	if s := m.Resource; s != nil {
		o.Resource = &autoscalingv1.ResourceMetricStatus{Name: s.Name, CurrentAverageUtilization: s.Current.AverageUtilization, CurrentAverageValue: ptr.Deref(s.Current.AverageValue, resource.Quantity{})}
	}
	if s := m.ContainerResource; s != nil {
		o.ContainerResource = &autoscalingv1.ContainerResourceMetricStatus{
			Name: s.Name, Container: s.Container, CurrentAverageUtilization: s.Current.AverageUtilization, CurrentAverageValue: ptr.Deref(s.Current.AverageValue, resource.Quantity{}),
		}
	}
	if s := m.External; s != nil {
		o.External = &autoscalingv1.ExternalMetricStatus{
			MetricName: s.Metric.Name, MetricSelector: s.Metric.Selector, CurrentValue: ptr.Deref(s.Current.Value, resource.Quantity{}), CurrentAverageValue: s.Current.AverageValue,
		}
	}
	return o
}

func newerStatus(o autoscalingv1.MetricStatus) (m autoscalingv2.MetricStatus) {
	m.Type = autoscalingv2.MetricSourceType(o.Type)
	if s := o.Object; s != nil {
		m.Object = &autoscalingv2.ObjectMetricStatus{
			DescribedObject: autoscalingv2.CrossVersionObjectReference(s.Target), Metric: autoscalingv2.MetricIdentifier{Name: s.MetricName, Selector: s.Selector},
			Current: current{Value: &s.CurrentValue, AverageValue: s.AverageValue},
		}
	}
	if s := o.Pods; s != nil {
		m.Pods = &autoscalingv2.PodsMetricStatus{Metric: autoscalingv2.MetricIdentifier{Name: s.MetricName, Selector: s.Selector}, Current: current{AverageValue: &s.CurrentAverageValue}}
	}
	if s := o.Resource; s != nil {
		m.Resource = &autoscalingv2.ResourceMetricStatus{Name: s.Name, Current: current{AverageUtilization: s.CurrentAverageUtilization, AverageValue: &s.CurrentAverageValue}}
	}
	if s := o.ContainerResource; s != nil {
		m.ContainerResource = &autoscalingv2.ContainerResourceMetricStatus{
			Name: s.Name, Container: s.Container, Current: current{AverageUtilization: s.CurrentAverageUtilization, AverageValue: &s.CurrentAverageValue},
		}
	}
	if s := o.External; s != nil {
		m.External = &autoscalingv2.ExternalMetricStatus{
			Metric: autoscalingv2.MetricIdentifier{Name: s.MetricName, Selector: s.MetricSelector}, Current: current{Value: &s.CurrentValue, AverageValue: s.CurrentAverageValue},
		}
	}
	return m
}
