package limits

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/resources"
	kind "laterna.dev/laterna/internal/registry/resource"
)

// LimitRange describes ranges of what containers, pods and claims may ask for.
func LimitRange() kind.Definition[*corev1.LimitRange] {
	return kind.Definition[*corev1.LimitRange]{
		GroupVersion: corev1.SchemeGroupVersion, Plural: "limitranges", Singular: "limitrange", ShortNames: []string{"limits"}, Namespaced: true,
		New: func() *corev1.LimitRange { return &corev1.LimitRange{} }, NewList: func() runtime.Object { return &corev1.LimitRangeList{} },
		Default: func(l *corev1.LimitRange) {
			for i := range l.Spec.Limits {
				setDefaults(&l.Spec.Limits[i])
			}
		},
		Rules: kind.Rules[*corev1.LimitRange]{
			Validate:            func(_ context.Context, l *corev1.LimitRange) field.ErrorList { return validateRange(l) },
			ValidateUpdate:      func(_ context.Context, l, _ *corev1.LimitRange) field.ErrorList { return validateRange(l) },
			AllowCreateOnUpdate: true,
		},
	}
}

// setDefaults: what a container gets that says nothing follows from what it may have.
func setDefaults(item *corev1.LimitRangeItem) {
	if item.Type != corev1.LimitTypeContainer {
		return
	}
	for _, list := range []*corev1.ResourceList{&item.Default, &item.DefaultRequest} {
		if *list == nil {
			*list = corev1.ResourceList{}
		}
	}
	fill(item.Default, item.Max)
	fill(item.DefaultRequest, item.Default)
	fill(item.DefaultRequest, item.Min)
}

func fill(list, from corev1.ResourceList) {
	for name, q := range from {
		if _, there := list[name]; !there {
			list[name] = q.DeepCopy()
		}
	}
}

func validateRange(l *corev1.LimitRange) (errs field.ErrorList) {
	seen := map[corev1.LimitType]bool{}
	for i := range l.Spec.Limits {
		item, at := &l.Spec.Limits[i], field.NewPath("spec", "limits").Index(i)
		errs = append(errs, validateType(item.Type, at.Child("type"))...)
		if seen[item.Type] {
			errs = append(errs, field.Duplicate(at.Child("type"), item.Type))
		}
		seen[item.Type] = true
		errs = append(errs, validateItem(item, at)...)
	}
	return errs
}

func validateType(t corev1.LimitType, at *field.Path) (errs field.ErrorList) {
	for _, msg := range validation.IsQualifiedName(string(t)) {
		errs = append(errs, field.Invalid(at, t, msg))
	}
	if len(errs) == 0 && plain(corev1.ResourceName(t)) && t != corev1.LimitTypePod && t != corev1.LimitTypeContainer && t != corev1.LimitTypePersistentVolumeClaim {
		errs = append(errs, field.Invalid(at, t, "must be a standard limit type or fully qualified"))
	}
	return errs
}

func validateItem(item *corev1.LimitRangeItem, at *field.Path) (errs field.ErrorList) {
	defaults, requests := item.Default, item.DefaultRequest
	if item.Type == corev1.LimitTypePod {
		for name, list := range map[string]corev1.ResourceList{"default": defaults, "defaultRequest": requests} {
			if len(list) > 0 {
				errs = append(errs, field.Forbidden(at.Child(name), "may not be specified when `type` is 'Pod'"))
			}
		}
		defaults, requests = nil, nil
	}
	names := map[corev1.ResourceName]bool{}
	for _, l := range []struct {
		name string
		list corev1.ResourceList
	}{{"max", item.Max}, {"min", item.Min}, {"default", defaults}, {"defaultRequest", requests}, {"maxLimitRequestRatio", item.MaxLimitRequestRatio}} {
		for _, name := range slices.Sorted(maps.Keys(l.list)) {
			errs = append(errs, validateLimited(item.Type, name, at.Child(l.name).Key(string(name)))...)
			names[name] = true
		}
	}
	if item.Type == corev1.LimitTypePersistentVolumeClaim {
		_, least := item.Min[corev1.ResourceStorage]
		if _, most := item.Max[corev1.ResourceStorage]; !least && !most {
			errs = append(errs, field.Required(at.Child("limits"), "either minimum or maximum storage value is required, but neither was provided"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		errs = append(errs, compare(name, item, defaults, requests, at)...)
	}
	return errs
}

// validateLimited checks the name of what is limited.
func validateLimited(t corev1.LimitType, name corev1.ResourceName, at *field.Path) field.ErrorList {
	if t == corev1.LimitTypePod || t == corev1.LimitTypeContainer {
		return resources.OfContainer(name, at)
	}
	return validateName(name, at)
}

// compare checks that the values of a resource fit each other.
func compare(name corev1.ResourceName, item *corev1.LimitRangeItem, defaults, requests corev1.ResourceList, at *field.Path) (errs field.ErrorList) {
	least, most, preset, request := of(item.Min, name), of(item.Max, name), of(defaults, name), of(requests, name)
	for _, c := range []struct {
		less, more amount
		what       string
		field      string
		value      amount
	}{
		{least, most, "min value %s is greater than max value %s", "min", least},
		{least, request, "min value %s is greater than default request value %s", "defaultRequest", request},
		{request, most, "default request value %s is greater than max value %s", "defaultRequest", request},
		{request, preset, "default request value %s is greater than default limit value %s", "defaultRequest", request},
		{least, preset, "min value %s is greater than default value %s", "default", least},
		{preset, most, "default value %s is greater than max value %s", "default", most},
	} {
		if c.less.there && c.more.there && c.less.Cmp(c.more.Quantity) > 0 {
			errs = append(errs, field.Invalid(at.Child(c.field).Key(string(name)), c.value.Quantity, fmt.Sprintf(c.what, c.less.String(), c.more.String())))
		}
	}
	errs = append(errs, compareRatio(of(item.MaxLimitRequestRatio, name), least, most, at.Child("maxLimitRequestRatio").Key(string(name)))...)
	if !resources.Overcommits(name) && preset.there && request.there && preset.Cmp(request.Quantity) != 0 {
		errs = append(errs, field.Invalid(at.Child("defaultRequest").Key(string(name)), request.Quantity, fmt.Sprintf("default value %s must equal to defaultRequest value %s in %s", preset.String(), request.String(), name)))
	}
	return errs
}

func compareRatio(ratio, least, most amount, at *field.Path) (errs field.ErrorList) {
	if !ratio.there {
		return nil
	}
	if ratio.Cmp(resource.MustParse("1")) < 0 {
		errs = append(errs, field.Invalid(at, ratio.Quantity, fmt.Sprintf("ratio %s is less than 1", ratio.String())))
	}
	if !least.there || !most.there {
		return errs
	}
	value, from, to := float64(ratio.Value()), least.Value(), most.Value()
	if max(ratio.Value(), from, to) < resource.MaxMilliValue {
		value, from, to = float64(ratio.MilliValue())/1000, least.MilliValue(), most.MilliValue()
	}
	if possible := float64(to) / float64(from); value > possible {
		errs = append(errs, field.Invalid(at, ratio.Quantity, fmt.Sprintf("ratio %s is greater than max/min = %f", ratio.String(), possible)))
	}
	return errs
}

// amount is a quantity that may not be there.
type amount struct {
	resource.Quantity
	there bool
}

func of(list corev1.ResourceList, name corev1.ResourceName) amount {
	q, there := list[name]
	return amount{q, there}
}
