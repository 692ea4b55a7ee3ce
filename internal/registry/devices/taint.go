package devices

import (
	"context"

	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/resource"
)

type taintRule = resourcev1.DeviceTaintRule

// TaintRules describes what taints devices. wall stamps taints.
func TaintRules(wall clock.Wall) resource.Definition[*taintRule] {
	halves := resource.Halves[*taintRule, resourcev1.DeviceTaintRuleSpec, resourcev1.DeviceTaintRuleStatus]{
		Spec:   func(r *taintRule) *resourcev1.DeviceTaintRuleSpec { return &r.Spec },
		Status: func(r *taintRule) *resourcev1.DeviceTaintRuleStatus { return &r.Status },
	}
	rules := halves.Main(validateTaintRule, nil)
	create, update := rules.PrepareCreate, rules.PrepareUpdate
	rules.PrepareCreate = func(ctx context.Context, r *taintRule) {
		stamp(&r.Spec.Taint, nil, wall)
		create(ctx, r)
	}
	rules.PrepareUpdate = func(ctx context.Context, r, old *taintRule) {
		stamp(&r.Spec.Taint, &old.Spec.Taint, wall)
		update(ctx, r, old)
	}
	rules.WarnCreate = resource.OnlyStored[*taintRule]("spec: " + unserved)
	return resource.Definition[*taintRule]{
		GroupVersion: resourcev1.SchemeGroupVersion,
		Plural:       "devicetaintrules",
		Singular:     "devicetaintrule",
		New:          func() *taintRule { return &taintRule{} },
		NewList:      func() runtime.Object { return &resourcev1.DeviceTaintRuleList{} },
		Rules:        rules,
		Status: withoutMetadata(halves.Sub(func(r, _ *taintRule) field.ErrorList {
			at := status.Child("conditions")
			if len(r.Status.Conditions) > resourcev1.DeviceTaintRuleStatusMaxConditions {
				return field.ErrorList{field.TooMany(at, len(r.Status.Conditions), resourcev1.DeviceTaintRuleStatusMaxConditions)}
			}
			return metavalidation.ValidateConditions(r.Status.Conditions, at)
		})),
		ReturnDeleted: true,
	}
}

// stamp says since when a taint is there, unless it says so itself.
func stamp(t, old *resourcev1.DeviceTaint, wall clock.Wall) {
	switch same := old != nil && t.Key == old.Key && t.Value == old.Value && t.Effect == old.Effect; {
	case t.TimeAdded != nil && (same || old == nil || !t.TimeAdded.Equal(old.TimeAdded)):
	case same:
		t.TimeAdded = old.TimeAdded
	default:
		t.TimeAdded = new(metav1.NewTime(wall.Now()).Rfc3339Copy())
	}
}

func validateTaintRule(r *taintRule) (errs field.ErrorList) {
	if s := r.Spec.DeviceSelector; s != nil {
		at := spec.Child("deviceSelector")
		if s.Driver != nil {
			errs = append(errs, validateDriver(*s.Driver, at.Child("driver"))...)
		}
		if s.Pool != nil {
			errs = append(errs, validatePool(*s.Pool, at.Child("pool"))...)
		}
		if s.Device != nil {
			errs = append(errs, check.DNSLabel(*s.Device, at.Child("device"))...)
		}
	}
	return append(errs, validateTaint(&r.Spec.Taint, spec.Child("taint"))...)
}
