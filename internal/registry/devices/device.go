package devices

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

func validateDevice(d *resourcev1.Device, placed bool, at *field.Path) field.ErrorList {
	errs := check.DNSLabel(d.Name, at.Child("name"))
	if n := len(d.Attributes) + len(d.Capacity); n > resourcev1.ResourceSliceMaxAttributesAndCapacitiesPerDevice {
		errs = append(errs, field.Invalid(at, n, fmt.Sprintf("the total number of attributes and capacities must not exceed %d", resourcev1.ResourceSliceMaxAttributesAndCapacitiesPerDevice)))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Attributes)) {
		a, at := d.Attributes[name], at.Child("attributes").Key(string(name))
		errs = append(errs, validateName(string(name), at)...)
		errs = append(errs, validateAttribute(&a, at)...)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Capacity)) {
		at := at.Child("capacity").Key(string(name))
		errs = append(errs, validateName(string(name), at)...)
		if d.Capacity[name].RequestPolicy != nil && (d.AllowMultipleAllocations == nil || !*d.AllowMultipleAllocations) {
			errs = append(errs, field.Forbidden(at.Child("requestPolicy"), "allowMultipleAllocations must be true"))
		}
	}
	errs = append(errs, each(d.Taints, resourcev1.DeviceTaintsMaxLength, at.Child("taints"), validateTaint)...)
	errs = append(errs, distinct(d.ConsumesCounters, resourcev1.ResourceSliceMaxDeviceCounterConsumptionsPerDevice, at.Child("consumesCounters"),
		func(c *resourcev1.DeviceCounterConsumption) string { return c.CounterSet },
		func(c *resourcev1.DeviceCounterConsumption, at *field.Path) field.ErrorList {
			return validateCounters(c.CounterSet, at.Child("counterSet"), c.Counters, at.Child("counters"))
		})...)
	return append(errs, validateDevicePlace(d, placed, at)...)
}

func validateDevicePlace(d *resourcev1.Device, placed bool, at *field.Path) field.ErrorList {
	const one = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
	if !placed {
		if d.NodeName != nil || d.NodeSelector != nil || d.AllNodes != nil {
			return field.ErrorList{field.Invalid(at, nil, "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec")}
		}
		return nil
	}
	errs, set := validateNodes(d.NodeName, d.NodeSelector, d.AllNodes, "must not be empty", at)
	switch len(set) {
	case 0:
		errs = append(errs, field.Required(at, one))
	case 1:
	default:
		errs = append(errs, field.Invalid(at, "{"+strings.Join(set, ", ")+"}", one))
	}
	return errs
}

func validateCounters(name string, nameAt *field.Path, counters map[string]resourcev1.Counter, at *field.Path) field.ErrorList {
	errs := check.Required(name, nameAt)
	if name != "" {
		errs = append(errs, check.DNSLabel(name, nameAt)...)
	}
	if len(counters) == 0 {
		return append(errs, field.Required(at, ""))
	}
	if len(counters) > resourcev1.ResourceSliceMaxCountersPerCounterSet {
		return append(errs, field.TooMany(at, len(counters), resourcev1.ResourceSliceMaxCountersPerCounterSet))
	}
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		errs = append(errs, check.DNSLabel(name, at.Key(name))...)
	}
	return errs
}

// versions are those of semver.org 2.0.0.
var versions = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$`)

func validateAttribute(a *resourcev1.DeviceAttribute, at *field.Path) (errs field.ErrorList) {
	set := 0
	for _, has := range []bool{a.IntValue != nil, a.BoolValue != nil, a.StringValue != nil, a.VersionValue != nil,
		a.IntValues != nil, a.BoolValues != nil, a.StringValues != nil, a.VersionValues != nil} {
		if has {
			set++
		}
	}
	text := func(value string, version bool, at *field.Path) {
		if version && !versions.MatchString(value) {
			errs = append(errs, field.Invalid(at, value, "must be a string compatible with semver.org spec 2.0.0"))
		}
		if len(value) > resourcev1.DeviceAttributeMaxValueLength {
			errs = append(errs, field.TooLong(at, "", resourcev1.DeviceAttributeMaxValueLength))
		}
	}
	if a.StringValue != nil {
		text(*a.StringValue, false, at.Child("string"))
	}
	if a.VersionValue != nil {
		text(*a.VersionValue, true, at.Child("version"))
	}
	for i, value := range a.StringValues {
		text(value, false, at.Child("strings").Index(i))
	}
	for i, value := range a.VersionValues {
		text(value, true, at.Child("versions").Index(i))
	}
	if set != 1 {
		errs = append(errs, field.Invalid(at, "", "exactly one value must be specified"))
	}
	return errs
}
