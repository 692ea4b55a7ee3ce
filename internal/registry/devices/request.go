package devices

import (
	"fmt"
	"strings"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

// defaultClaim fills in what the requests of a claim may leave out.
func defaultClaim(c *resourcev1.DeviceClaim) {
	one := func(mode *resourcev1.DeviceAllocationMode, count *int64, tolerations []resourcev1.DeviceToleration) {
		if *mode == "" {
			*mode = resourcev1.DeviceAllocationModeExactCount
		}
		if *mode == resourcev1.DeviceAllocationModeExactCount && *count == 0 {
			*count = 1
		}
		for i := range tolerations {
			if tolerations[i].Operator == "" {
				tolerations[i].Operator = resourcev1.DeviceTolerationOpEqual
			}
		}
	}
	for i := range c.Requests {
		if r := c.Requests[i].Exactly; r != nil {
			one(&r.AllocationMode, &r.Count, r.Tolerations)
		}
		for j := range c.Requests[i].FirstAvailable {
			r := &c.Requests[i].FirstAvailable[j]
			one(&r.AllocationMode, &r.Count, r.Tolerations)
		}
	}
}

func validateClaim(c *resourcev1.DeviceClaim, at *field.Path) field.ErrorList {
	names := namesOf(c)
	errs := distinct(c.Requests, resourcev1.DeviceRequestsMaxSize, at.Child("requests"),
		func(r *resourcev1.DeviceRequest) string { return r.Name }, validateRequest)
	errs = append(errs, each(c.Constraints, resourcev1.DeviceConstraintsMaxSize, at.Child("constraints"), names.validateConstraint)...)
	return append(errs, each(c.Config, resourcev1.DeviceConfigMaxSize, at.Child("config"), func(c *resourcev1.DeviceClaimConfiguration, at *field.Path) field.ErrorList {
		return append(names.validateReferences(c.Requests, at.Child("requests")), validateConfig(&c.DeviceConfiguration, at)...)
	})...)
}

func validateRequest(r *resourcev1.DeviceRequest, at *field.Path) field.ErrorList {
	errs := check.DNSLabel(r.Name, at.Child("name"))
	switch exact, first := r.Exactly, r.FirstAvailable; {
	case exact != nil && len(first) > 0:
		errs = append(errs, field.Invalid(at, nil, "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"))
	case exact != nil:
		at := at.Child("exactly")
		errs = append(errs, part{exact.DeviceClassName, exact.Selectors, exact.AllocationMode, exact.Count, exact.Tolerations}.validate(at)...)
	case len(first) > 0:
		errs = append(errs, distinct(first, resourcev1.FirstAvailableDeviceRequestMaxSize, at.Child("firstAvailable"),
			func(r *resourcev1.DeviceSubRequest) string { return r.Name },
			func(r *resourcev1.DeviceSubRequest, at *field.Path) field.ErrorList {
				return append(check.DNSLabel(r.Name, at.Child("name")), part{r.DeviceClassName, r.Selectors, r.AllocationMode, r.Count, r.Tolerations}.validate(at)...)
			})...)
	default:
		errs = append(errs, field.Required(at, "exactly one of `exactly` or `firstAvailable` is required"))
	}
	return errs
}

// part is what the two ways to ask for devices have in common.
type part struct {
	class       string
	selectors   []resourcev1.DeviceSelector
	mode        resourcev1.DeviceAllocationMode
	count       int64
	tolerations []resourcev1.DeviceToleration
}

func (p part) validate(at *field.Path) field.ErrorList {
	class := at.Child("deviceClassName")
	errs := check.Required(p.class, class)
	if p.class != "" {
		errs = append(errs, check.Subdomain(p.class, class)...)
	}
	errs = append(errs, validateSelectors(p.selectors, at.Child("selectors"))...)
	switch p.mode {
	case resourcev1.DeviceAllocationModeAll:
		if p.count != 0 {
			errs = append(errs, field.Invalid(at.Child("count"), p.count, fmt.Sprintf("must not be specified when allocationMode is '%s'", p.mode)))
		}
	case resourcev1.DeviceAllocationModeExactCount:
		if p.count <= 0 {
			errs = append(errs, field.Invalid(at.Child("count"), p.count, "must be greater than zero"))
		}
	default:
		errs = append(errs, field.NotSupported(at.Child("allocationMode"), p.mode, []resourcev1.DeviceAllocationMode{
			resourcev1.DeviceAllocationModeAll, resourcev1.DeviceAllocationModeExactCount}))
	}
	return append(errs, each(p.tolerations, resourcev1.DeviceTolerationsMaxLength, at.Child("tolerations"), validateToleration)...)
}

// names are those of requests, and of the requests in them behind a slash.
type names map[string]bool

func namesOf(c *resourcev1.DeviceClaim) names {
	all := names{}
	for _, r := range c.Requests {
		all[r.Name] = true
		for _, sub := range r.FirstAvailable {
			all[r.Name+"/"+sub.Name] = true
		}
	}
	return all
}

func (n names) validateReferences(list []string, at *field.Path) field.ErrorList {
	return distinct(list, resourcev1.DeviceRequestsMaxSize, at, itself, func(name *string, at *field.Path) field.ErrorList { return n.validateReference(*name, at) })
}

func (n names) validateReference(name string, at *field.Path) (errs field.ErrorList) {
	unknown := field.Invalid(at, name, "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'")
	if strings.Count(name, "/") > 1 {
		return field.ErrorList{unknown}
	}
	for segment := range strings.SplitSeq(name, "/") {
		errs = append(errs, check.DNSLabel(segment, at)...)
	}
	if !n[name] {
		errs = append(errs, unknown)
	}
	return errs
}

func (n names) validateConstraint(c *resourcev1.DeviceConstraint, at *field.Path) field.ErrorList {
	errs := n.validateReferences(c.Requests, at.Child("requests"))
	switch {
	case c.MatchAttribute != nil:
		return append(errs, validateFullName(*c.MatchAttribute, at.Child("matchAttribute"))...)
	case c.DistinctAttribute != nil:
		return append(errs, validateFullName(*c.DistinctAttribute, at.Child("distinctAttribute"))...)
	}
	return append(errs, field.Required(at, `exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set`))
}
