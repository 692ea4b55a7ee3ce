package devices

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/core/podspec/scheduling"
	"laterna.dev/laterna/internal/registry/resource"
)

type slice = resourcev1.ResourceSlice

// Slices describes what devices drivers have. wall stamps taints.
func Slices(wall clock.Wall) resource.Definition[*slice] {
	halves := resource.Halves[*slice, resourcev1.ResourceSliceSpec, struct{}]{Spec: func(s *slice) *resourcev1.ResourceSliceSpec { return &s.Spec }}
	rules := halves.Main(validateSlice, func(s, old *slice) field.ErrorList { return append(validateSlice(s), validateSliceChange(s, old)...) })
	create, update := rules.PrepareCreate, rules.PrepareUpdate
	rules.PrepareCreate = func(ctx context.Context, s *slice) {
		stampDevices(s.Spec.Devices, nil, wall)
		create(ctx, s)
	}
	rules.PrepareUpdate = func(ctx context.Context, s, old *slice) {
		stampDevices(s.Spec.Devices, old.Spec.Devices, wall)
		update(ctx, s, old)
	}
	rules.WarnCreate = resource.OnlyStored[*slice]("spec.devices: " + unserved)
	return resource.Definition[*slice]{
		GroupVersion: resourcev1.SchemeGroupVersion,
		Plural:       "resourceslices",
		Singular:     "resourceslice",
		New:          func() *slice { return &slice{} },
		NewList:      func() runtime.Object { return &resourcev1.ResourceSliceList{} },
		Rules:        rules,
		Fields: func(s *slice) fields.Set {
			return fields.Set{resourcev1.ResourceSliceSelectorNodeName: nodeOf(s), resourcev1.ResourceSliceSelectorDriver: s.Spec.Driver, resourcev1.ResourceSliceSelectorPoolName: s.Spec.Pool.Name}
		},
		Columns: resource.Columns[*slice]{
			Columns: []resource.Column{
				resource.Name(),
				{Name: "Node", Type: "string", Description: resourcev1.ResourceSliceSpec{}.SwaggerDoc()["nodeName"]},
				{Name: "Driver", Type: "string", Description: resourcev1.ResourceSliceSpec{}.SwaggerDoc()["driver"]},
				{Name: "Pool", Type: "string", Description: resourcev1.ResourcePool{}.SwaggerDoc()["name"]},
				resource.AgeColumn(),
			},
			Row: func(s *slice) []any {
				return []any{s.Name, nodeOf(s), s.Spec.Driver, s.Spec.Pool.Name, resource.Age(s)}
			},
		},
		ReturnDeleted: true,
	}
}

func nodeOf(s *slice) string {
	if s.Spec.NodeName == nil {
		return ""
	}
	return *s.Spec.NodeName
}

func stampDevices(now, old []resourcev1.Device, wall clock.Wall) {
	had := map[[3]string]*resourcev1.DeviceTaint{}
	id := func(d *resourcev1.Device, t *resourcev1.DeviceTaint) [3]string {
		return [3]string{d.Name, t.Key, string(t.Effect)}
	}
	for i := range old {
		for j := range old[i].Taints {
			had[id(&old[i], &old[i].Taints[j])] = &old[i].Taints[j]
		}
	}
	for i := range now {
		for j := range now[i].Taints {
			t := &now[i].Taints[j]
			stamp(t, had[id(&now[i], t)], wall)
		}
	}
}

func validateSlice(s *slice) field.ErrorList {
	pool := spec.Child("pool")
	errs := validateDriver(s.Spec.Driver, spec.Child("driver"))
	errs = append(errs, validatePool(s.Spec.Pool.Name, pool.Child("name"))...)
	if n := s.Spec.Pool.ResourceSliceCount; n <= 0 {
		errs = append(errs, field.Invalid(pool.Child("resourceSliceCount"), n, "must be greater than zero"))
	}
	if n := s.Spec.Pool.Generation; n < 0 {
		errs = append(errs, field.Invalid(pool.Child("generation"), n, "must be greater than or equal to zero"))
	}
	errs = append(errs, validatePlace(s)...)
	if s.Spec.SharedCounters != nil && s.Spec.Devices != nil {
		errs = append(errs, field.Invalid(spec, "", "only one of `sharedCounters` or `devices` is allowed"))
	}
	most := resourcev1.ResourceSliceMaxDevices
	for _, d := range s.Spec.Devices {
		if len(d.Taints) > 0 || len(d.ConsumesCounters) > 0 {
			most = resourcev1.ResourceSliceMaxDevicesWithAdvancedFeatures
		}
	}
	placed := s.Spec.PerDeviceNodeSelection != nil && *s.Spec.PerDeviceNodeSelection
	errs = append(errs, distinct(s.Spec.Devices, most, spec.Child("devices"), func(d *resourcev1.Device) string { return d.Name },
		func(d *resourcev1.Device, at *field.Path) field.ErrorList { return validateDevice(d, placed, at) })...)
	return append(errs, distinct(s.Spec.SharedCounters, resourcev1.ResourceSliceMaxCounterSets, spec.Child("sharedCounters"),
		func(c *resourcev1.CounterSet) string { return c.Name },
		func(c *resourcev1.CounterSet, at *field.Path) field.ErrorList {
			return validateCounters(c.Name, at.Child("name"), c.Counters, at.Child("counters"))
		})...)
}

// validatePlace wants one of the ways to say where devices are.
func validatePlace(s *slice) field.ErrorList {
	const one = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
	errs, set := validateNodes(s.Spec.NodeName, s.Spec.NodeSelector, s.Spec.AllNodes, "must be either unset or set to a non-empty string", spec)
	if n := s.Spec.NodeSelector; n != nil && len(n.NodeSelectorTerms) != 1 {
		errs = append(errs, field.Invalid(spec.Child("nodeSelector", "nodeSelectorTerms"), n.NodeSelectorTerms, "must have exactly one node selector term"))
	}
	errs, set = onlyTrue(s.Spec.PerDeviceNodeSelection, "perDeviceNodeSelection", spec, errs, set)
	switch len(set) {
	case 0:
		errs = append(errs, field.Required(spec, one))
	case 1:
	default:
		errs = append(errs, field.Invalid(spec, "{"+strings.Join(set, ", ")+"}", one+", but multiple fields are set"))
	}
	return errs
}

// validateNodes returns which of the ways to name nodes are used, and what is wrong with
// them.
func validateNodes(name *string, selector *corev1.NodeSelector, all *bool, empty string, at *field.Path) (errs field.ErrorList, set []string) {
	if name != nil {
		if *name == "" {
			errs = append(errs, field.Invalid(at.Child("nodeName"), "", empty))
		} else {
			set = append(set, "`nodeName`")
			errs = append(errs, check.Subdomain(*name, at.Child("nodeName"))...)
		}
	}
	if selector != nil {
		set = append(set, "`nodeSelector`")
		errs = append(errs, scheduling.ValidateNodeSelector(selector, at.Child("nodeSelector"))...)
	}
	return onlyTrue(all, "allNodes", at, errs, set)
}

func onlyTrue(flag *bool, name string, at *field.Path, errs field.ErrorList, set []string) (field.ErrorList, []string) {
	switch {
	case flag == nil:
	case *flag:
		set = append(set, "`"+name+"`")
	default:
		errs = append(errs, field.Invalid(at.Child(name), false, "must be either unset or set to true"))
	}
	return errs, set
}

func validateSliceChange(s, old *slice) field.ErrorList {
	errs := apivalidation.ValidateImmutableField(s.Spec.Pool.Name, old.Spec.Pool.Name, spec.Child("pool", "name"))
	errs = append(errs, apivalidation.ValidateImmutableField(s.Spec.Driver, old.Spec.Driver, spec.Child("driver"))...)
	return append(errs, apivalidation.ValidateImmutableField(s.Spec.NodeName, old.Spec.NodeName, spec.Child("nodeName"))...)
}
