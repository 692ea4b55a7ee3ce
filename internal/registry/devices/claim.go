package devices

import (
	"context"
	"strings"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/core/podspec/scheduling"
	"laterna.dev/laterna/internal/registry/resource"
)

type (
	claim    = resourcev1.ResourceClaim
	template = resourcev1.ResourceClaimTemplate
)

var spec, status = field.NewPath("spec"), field.NewPath("status")

// Claims describes what pods ask for.
func Claims() resource.Definition[*claim] {
	halves := resource.Halves[*claim, resourcev1.ResourceClaimSpec, resourcev1.ResourceClaimStatus]{
		Spec:      func(c *claim) *resourcev1.ResourceClaimSpec { return &c.Spec },
		Status:    func(c *claim) *resourcev1.ResourceClaimStatus { return &c.Status },
		Uncounted: true,
	}
	rules := halves.Main(func(c *claim) field.ErrorList { return validateClaim(&c.Spec.Devices, spec.Child("devices")) },
		func(c, old *claim) field.ErrorList {
			return apivalidation.ValidateImmutableField(c.Spec, old.Spec, spec)
		})
	rules.WarnCreate = resource.OnlyStored[*claim]("spec.devices: " + unserved)
	return resource.Definition[*claim]{
		GroupVersion: resourcev1.SchemeGroupVersion,
		Plural:       "resourceclaims",
		Singular:     "resourceclaim",
		Namespaced:   true,
		New:          func() *claim { return &claim{} },
		NewList:      func() runtime.Object { return &resourcev1.ResourceClaimList{} },
		Default:      func(c *claim) { defaultClaim(&c.Spec.Devices) },
		Rules:        rules,
		Status:       withoutMetadata(halves.Sub(validateClaimStatus)),
		Columns: resource.Columns[*claim]{
			Columns: []resource.Column{
				resource.Name(),
				{Name: "State", Type: "string", Description: "A summary of the current state (allocated, pending, reserved, etc.)."},
				resource.AgeColumn(),
			},
			Row: func(c *claim) []any { return []any{c.Name, state(c), resource.Age(c)} },
		},
		ReturnDeleted: true,
	}
}

// withoutMetadata keeps metadata as it is when a status is written.
func withoutMetadata[T resource.Object](r *resource.Rules[T]) *resource.Rules[T] {
	prepare := r.PrepareUpdate
	r.PrepareUpdate = func(ctx context.Context, obj, old T) {
		prepare(ctx, obj, old)
		metav1.ResetObjectMetaForStatus(obj, old)
	}
	r.Reset = append(r.Reset, "metadata")
	return r
}

func state(c *claim) string {
	var states []string
	if c.DeletionTimestamp != nil {
		states = append(states, "deleted")
	}
	switch {
	case c.Status.Allocation != nil:
		states = append(states, "allocated")
		if len(c.Status.ReservedFor) > 0 {
			states = append(states, "reserved")
		}
	case c.DeletionTimestamp == nil:
		states = append(states, "pending")
	}
	return strings.Join(states, ",")
}

func validateClaimStatus(c, old *claim) field.ErrorList {
	now, allocation, reserved := &c.Status, status.Child("allocation"), status.Child("reservedFor")
	errs := distinct(now.ReservedFor, resourcev1.ResourceClaimReservedForMaxSize, reserved,
		func(r *resourcev1.ResourceClaimConsumerReference) string { return string(r.UID) },
		func(r *resourcev1.ResourceClaimConsumerReference, at *field.Path) field.ErrorList {
			errs := check.Required(r.Resource, at.Child("resource"))
			errs = append(errs, check.Required(r.Name, at.Child("name"))...)
			return append(errs, check.Required(string(r.UID), at.Child("uid"))...)
		})
	errs = append(errs, distinct(now.Devices, len(now.Devices), status.Child("devices"),
		func(d *resourcev1.AllocatedDeviceStatus) string { return device(d.Driver, d.Pool, d.Device, d.ShareID) }, allocated(now).validateDevice)...)
	if len(now.ReservedFor) > 0 && now.Allocation == nil {
		errs = append(errs, field.Forbidden(reserved, "may not be specified when `allocated` is not set"))
	}
	if c.DeletionTimestamp != nil && now.Allocation != nil && added(now.ReservedFor, old.Status.ReservedFor) {
		errs = append(errs, field.Forbidden(reserved, "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"))
	}
	switch {
	case now.Allocation == nil:
	case old.Status.Allocation != nil:
		errs = append(errs, apivalidation.ValidateImmutableField(now.Allocation, old.Status.Allocation, allocation)...)
	default:
		errs = append(errs, namesOf(&c.Spec.Devices).validateAllocation(now.Allocation, allocation)...)
	}
	return errs
}

func added(now, old []resourcev1.ResourceClaimConsumerReference) bool {
	had := map[resourcev1.ResourceClaimConsumerReference]bool{}
	for _, r := range old {
		had[r] = true
	}
	for _, r := range now {
		if !had[r] {
			return true
		}
	}
	return false
}

// device names one, or a share of it.
func device(driver, pool, name string, share *string) string {
	if share != nil {
		name += "/" + *share
	}
	return driver + "/" + pool + "/" + name
}

// devices are those that a claim has.
type devices map[string]bool

func allocated(s *resourcev1.ResourceClaimStatus) devices {
	all := devices{}
	if s.Allocation != nil {
		for _, r := range s.Allocation.Devices.Results {
			all[device(r.Driver, r.Pool, r.Device, (*string)(r.ShareID))] = true
		}
	}
	return all
}

func (ds devices) validateDevice(d *resourcev1.AllocatedDeviceStatus, at *field.Path) field.ErrorList {
	errs := validateDriver(d.Driver, at.Child("driver"))
	errs = append(errs, validatePool(d.Pool, at.Child("pool"))...)
	errs = append(errs, check.DNSLabel(d.Device, at.Child("device"))...)
	if id := device(d.Driver, d.Pool, d.Device, d.ShareID); !ds[id] {
		errs = append(errs, field.Invalid(at, id, "must be an allocated device in the claim"))
	}
	conditions := at.Child("conditions")
	if len(d.Conditions) > resourcev1.AllocatedDeviceStatusMaxConditions {
		errs = append(errs, field.TooMany(conditions, len(d.Conditions), resourcev1.AllocatedDeviceStatusMaxConditions))
	}
	errs = append(errs, metavalidation.ValidateConditions(d.Conditions, conditions)...)
	if d.Data != nil && len(d.Data.Raw) > 0 {
		errs = append(errs, validateRaw(d.Data, resourcev1.AllocatedDeviceStatusDataMaxLength, at.Child("data"))...)
	}
	if n := d.NetworkData; n != nil {
		at := at.Child("networkData")
		if len(n.InterfaceName) > resourcev1.NetworkDeviceDataInterfaceNameMaxLength {
			errs = append(errs, field.TooLong(at.Child("interfaceName"), "", resourcev1.NetworkDeviceDataInterfaceNameMaxLength))
		}
		if len(n.HardwareAddress) > resourcev1.NetworkDeviceDataHardwareAddressMaxLength {
			errs = append(errs, field.TooLong(at.Child("hardwareAddress"), "", resourcev1.NetworkDeviceDataHardwareAddressMaxLength))
		}
		errs = append(errs, distinct(n.IPs, resourcev1.NetworkDeviceDataMaxIPs, at.Child("ips"), itself,
			func(ip *string, at *field.Path) field.ErrorList { return validation.IsValidInterfaceAddress(at, *ip) })...)
	}
	return errs
}

func (n names) validateAllocation(a *resourcev1.AllocationResult, at *field.Path) field.ErrorList {
	in := at.Child("devices")
	errs := each(a.Devices.Results, resourcev1.AllocationResultsMaxSize, in.Child("results"), func(r *resourcev1.DeviceRequestAllocationResult, at *field.Path) field.ErrorList {
		errs := n.validateReference(r.Request, at.Child("request"))
		errs = append(errs, validateDriver(r.Driver, at.Child("driver"))...)
		errs = append(errs, validatePool(r.Pool, at.Child("pool"))...)
		return append(errs, check.DNSLabel(r.Device, at.Child("device"))...)
	})
	errs = append(errs, each(a.Devices.Config, 2*resourcev1.DeviceConfigMaxSize, in.Child("config"), func(c *resourcev1.DeviceAllocationConfiguration, at *field.Path) field.ErrorList {
		errs := check.OneOf(at.Child("source"), c.Source, resourcev1.AllocationConfigSourceClaim, resourcev1.AllocationConfigSourceClass)
		errs = append(errs, n.validateReferences(c.Requests, at.Child("requests"))...)
		return append(errs, validateConfig(&c.DeviceConfiguration, at)...)
	})...)
	if a.NodeSelector != nil {
		errs = append(errs, scheduling.ValidateNodeSelector(a.NodeSelector, at.Child("nodeSelector"))...)
	}
	return errs
}

// Templates describes what claims of pods are made of.
func Templates() resource.Definition[*template] {
	return resource.Definition[*template]{
		GroupVersion: resourcev1.SchemeGroupVersion,
		Plural:       "resourceclaimtemplates",
		Singular:     "resourceclaimtemplate",
		Namespaced:   true,
		New:          func() *template { return &template{} },
		NewList:      func() runtime.Object { return &resourcev1.ResourceClaimTemplateList{} },
		Default:      func(t *template) { defaultClaim(&t.Spec.Spec.Devices) },
		Rules: resource.Rules[*template]{
			Validate: func(_ context.Context, t *template) field.ErrorList {
				errs := metavalidation.ValidateLabels(t.Spec.Labels, spec.Child("metadata", "labels"))
				errs = append(errs, apivalidation.ValidateAnnotations(t.Spec.Annotations, spec.Child("metadata", "annotations"))...)
				return append(errs, validateClaim(&t.Spec.Spec.Devices, spec.Child("spec", "devices"))...)
			},
			ValidateUpdate: func(_ context.Context, t, old *template) field.ErrorList {
				if equality.Semantic.DeepEqual(t.Spec, old.Spec) {
					return nil
				}
				return field.ErrorList{field.Invalid(spec, t.Spec, apivalidation.FieldImmutableErrorMsg)}
			},
			WarnCreate: resource.OnlyStored[*template]("spec: " + unserved),
		},
		ReturnDeleted: true,
	}
}
