package horizontalpodautoscaler

import (
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

const (
	maxWindow = 3600
	maxPeriod = 1800
)

func validate(s *scaler) (errs field.ErrorList) {
	at, least := field.NewPath("spec"), s.Spec.MinReplicas
	wrong := func(name string, value int32, message string) {
		errs = append(errs, field.Invalid(at.Child(name), value, message))
	}
	if least != nil && *least < 1 {
		wrong("minReplicas", *least, "must be greater than or equal to 1")
	}
	if s.Spec.MaxReplicas < 1 {
		wrong("maxReplicas", s.Spec.MaxReplicas, "must be greater than 0")
	}
	if least != nil && s.Spec.MaxReplicas < *least {
		wrong("maxReplicas", s.Spec.MaxReplicas, "must be greater than or equal to `minReplicas`")
	}
	errs = append(errs, check.Referent(s.Spec.ScaleTargetRef.Kind, s.Spec.ScaleTargetRef.Name, at.Child("scaleTargetRef"))...)
	for i := range s.Spec.Metrics {
		errs = append(errs, validateMetric(&s.Spec.Metrics[i], at.Child("metrics").Index(i))...)
	}
	if b := s.Spec.Behavior; b != nil {
		errs = append(errs, validateRules(b.ScaleUp, at.Child("behavior", "scaleUp"))...)
		errs = append(errs, validateRules(b.ScaleDown, at.Child("behavior", "scaleDown"))...)
	}
	return errs
}

func validateRules(r *autoscalingv2.HPAScalingRules, at *field.Path) (errs field.ErrorList) {
	if r == nil {
		return nil
	}
	if w := r.StabilizationWindowSeconds; w != nil {
		errs = append(errs, within(*w, 0, maxWindow, "must be greater than or equal to zero", at.Child("stabilizationWindowSeconds"))...)
	}
	errs = append(errs, check.SupportedIfSet(at.Child("selectPolicy"), r.SelectPolicy,
		autoscalingv2.DisabledPolicySelect, autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect)...)
	policies := at.Child("policies")
	if len(r.Policies) == 0 {
		errs = append(errs, field.Required(policies, "must specify at least one Policy"))
	}
	for i, p := range r.Policies {
		one := policies.Index(i)
		errs = append(errs, check.SupportedIfSet(one.Child("type"), &p.Type, autoscalingv2.PercentScalingPolicy, autoscalingv2.PodsScalingPolicy)...)
		if p.Value <= 0 {
			errs = append(errs, field.Invalid(one.Child("value"), p.Value, "must be greater than zero"))
		}
		errs = append(errs, within(p.PeriodSeconds, 1, maxPeriod, "must be greater than zero", one.Child("periodSeconds"))...)
	}
	if r.Tolerance != nil && r.Tolerance.Sign() < 0 {
		errs = append(errs, field.Invalid(at.Child("tolerance"), r.Tolerance.String(), "must be greater than or equal to zero"))
	}
	return errs
}

func within(value, least, most int32, small string, at *field.Path) field.ErrorList {
	switch {
	case value < least:
		return field.ErrorList{field.Invalid(at, value, small)}
	case value > most:
		return field.ErrorList{field.Invalid(at, value, fmt.Sprintf("must be less than or equal to %d", most))}
	}
	return nil
}

// source is what a metric is of, and how it is checked.
type source struct {
	of       autoscalingv2.MetricSourceType
	name     string
	set      bool
	validate func(*field.Path) field.ErrorList
}

func validateMetric(m *autoscalingv2.MetricSpec, at *field.Path) field.ErrorList {
	errs := check.OneOf(at.Child("type"), m.Type, autoscalingv2.ContainerResourceMetricSourceType, autoscalingv2.ExternalMetricSourceType,
		autoscalingv2.ObjectMetricSourceType, autoscalingv2.PodsMetricSourceType, autoscalingv2.ResourceMetricSourceType)
	for _, s := range []source{
		{autoscalingv2.ObjectMetricSourceType, "object", m.Object != nil, func(at *field.Path) field.ErrorList {
			return append(check.Referent(m.Object.DescribedObject.Kind, m.Object.DescribedObject.Name, at.Child("describedObject")),
				validateNamed(m.Object.Metric, m.Object.Target, at, "must set either a target value or averageValue")...)
		}},
		{autoscalingv2.ExternalMetricSourceType, "external", m.External != nil, func(at *field.Path) field.ErrorList {
			errs := validateNamed(m.External.Metric, m.External.Target, at, "must set either a target value for metric or a per-pod target")
			if m.External.Target.Value != nil && m.External.Target.AverageValue != nil {
				errs = append(errs, field.Forbidden(at.Child("target", "value"), "may not set both a target value for metric and a per-pod target"))
			}
			return errs
		}},
		{autoscalingv2.PodsMetricSourceType, "pods", m.Pods != nil, func(at *field.Path) field.ErrorList {
			errs := append(validateIdentifier(m.Pods.Metric, at.Child("metric")), validateTarget(m.Pods.Target, at.Child("target"))...)
			if m.Pods.Target.AverageValue == nil {
				errs = append(errs, field.Required(at.Child("target", "averageValue"), "must specify a positive target averageValue"))
			}
			return errs
		}},
		{autoscalingv2.ResourceMetricSourceType, "resource", m.Resource != nil, func(at *field.Path) field.ErrorList {
			return validateResource(string(m.Resource.Name), m.Resource.Target, at)
		}},
		{autoscalingv2.ContainerResourceMetricSourceType, "containerResource", m.ContainerResource != nil, func(at *field.Path) field.ErrorList {
			container := at.Child("container")
			errs := validateResource(string(m.ContainerResource.Name), m.ContainerResource.Target, at)
			if m.ContainerResource.Container == "" {
				return append(errs, field.Required(container, "must specify a container"))
			}
			return append(errs, check.DNSLabel(m.ContainerResource.Container, container)...)
		}},
	} {
		switch {
		case s.set && s.of == m.Type:
			errs = append(errs, s.validate(at.Child(s.name))...)
		case s.set:
			errs = append(errs, field.Forbidden(at.Child(s.name), "must populate the given metric source only"))
		case s.of == m.Type:
			errs = append(errs, field.Required(at.Child(s.name), "must populate information for the given metric source"))
		}
	}
	return errs
}

// validateNamed checks a metric that somebody else knows by its name.
func validateNamed(m autoscalingv2.MetricIdentifier, t autoscalingv2.MetricTarget, at *field.Path, either string) field.ErrorList {
	errs := append(validateIdentifier(m, at.Child("metric")), validateTarget(t, at.Child("target"))...)
	if t.Value == nil && t.AverageValue == nil {
		errs = append(errs, field.Required(at.Child("target", "averageValue"), either))
	}
	return errs
}

func validateIdentifier(m autoscalingv2.MetricIdentifier, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if m.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), "must specify a metric name"))
	} else {
		errs = append(errs, check.Messages(content.IsPathSegmentName(m.Name), m.Name, at.Child("name"))...)
	}
	if m.Selector != nil {
		errs = append(errs, metavalidation.ValidateLabelSelector(m.Selector, metavalidation.LabelSelectorValidationOptions{}, at.Child("selector"))...)
	}
	return errs
}

func validateResource(name string, t autoscalingv2.MetricTarget, at *field.Path) (errs field.ErrorList) {
	if name == "" {
		errs = append(errs, field.Required(at.Child("name"), "must specify a resource name"))
	}
	errs = append(errs, validateTarget(t, at.Child("target"))...)
	if t.AverageUtilization == nil && t.AverageValue == nil {
		errs = append(errs, field.Required(at.Child("target", "averageUtilization"), "must set either a target raw value or a target utilization"))
	}
	if t.AverageUtilization != nil && t.AverageValue != nil {
		errs = append(errs, field.Forbidden(at.Child("target", "averageValue"), "may not set both a target raw value and a target utilization"))
	}
	return errs
}

func validateTarget(t autoscalingv2.MetricTarget, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if t.Type == "" {
		errs = append(errs, field.Required(at.Child("type"), "must specify a metric target type"))
	}
	switch t.Type {
	case autoscalingv2.UtilizationMetricType, autoscalingv2.ValueMetricType, autoscalingv2.AverageValueMetricType:
	default:
		errs = append(errs, field.Invalid(at.Child("type"), t.Type, "must be either Utilization, Value, or AverageValue"))
	}
	positive := func(name string, q *resource.Quantity) {
		if q != nil && q.Sign() != 1 {
			errs = append(errs, field.Invalid(at.Child(name), q.String(), "must be positive"))
		}
	}
	positive("value", t.Value)
	positive("averageValue", t.AverageValue)
	if t.AverageUtilization != nil && *t.AverageUtilization < 1 {
		errs = append(errs, field.Invalid(at.Child("averageUtilization"), *t.AverageUtilization, "must be greater than 0"))
	}
	return errs
}
