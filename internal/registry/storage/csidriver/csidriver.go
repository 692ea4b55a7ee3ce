// Package csidriver owns the CSIDriver kind of storage.k8s.io/v1: defaults, validation,
// table and storage. Kubelets of other make list it; the agent of this program mounts
// no volumes of storage drivers.
package csidriver

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	storagev1 "k8s.io/api/storage/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/resource"
)

// Unused is the warning of a new driver.
const Unused = "the agent of this program mounts no volumes of storage drivers: this object is only stored"

// Definition describes storage drivers.
func Definition() resource.Definition[*storagev1.CSIDriver] {
	return resource.Definition[*storagev1.CSIDriver]{
		GroupVersion: storagev1.SchemeGroupVersion,
		Plural:       "csidrivers",
		Singular:     "csidriver",
		New:          func() *storagev1.CSIDriver { return &storagev1.CSIDriver{} },
		NewList:      func() runtime.Object { return &storagev1.CSIDriverList{} },
		Default:      setDefaults,
		Rules: resource.Rules[*storagev1.CSIDriver]{
			PrepareCreate: func(_ context.Context, d *storagev1.CSIDriver) { d.Generation = 1 },
			PrepareUpdate: func(_ context.Context, d, old *storagev1.CSIDriver) {
				d.Generation = old.Generation
				if !apiequality.Semantic.DeepEqual(d.Spec, old.Spec) {
					d.Generation++
				}
			},
			Validate: func(_ context.Context, d *storagev1.CSIDriver) field.ErrorList { return validate(d) },
			ValidateUpdate: func(_ context.Context, d, old *storagev1.CSIDriver) field.ErrorList {
				return append(validate(d), validateChange(d, old)...)
			},
			WarnCreate: func(context.Context, *storagev1.CSIDriver) []string { return []string{Unused} },
		},
		Columns: columns(),
	}
}

func setDefaults(d *storagev1.CSIDriver) {
	s := &d.Spec
	for _, f := range []struct {
		field **bool
		value bool
	}{{&s.AttachRequired, true}, {&s.PodInfoOnMount, false}, {&s.StorageCapacity, false}, {&s.RequiresRepublish, false}, {&s.SELinuxMount, false}} {
		if *f.field == nil {
			*f.field = ptr.To(f.value)
		}
	}
	if s.FSGroupPolicy == nil {
		s.FSGroupPolicy = ptr.To(storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy)
	}
	if len(s.VolumeLifecycleModes) == 0 {
		s.VolumeLifecycleModes = []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent}
	}
}

// maxName is how long a driver's name may be.
const maxName = 63

// ValidateName checks the name of a driver, wherever it stands.
func ValidateName(name string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		errs = append(errs, field.Required(at, ""))
	}
	if len(name) > maxName {
		errs = append(errs, field.TooLong(at, name, maxName))
	}
	for _, msg := range validation.IsDNS1123Subdomain(strings.ToLower(name)) {
		errs = append(errs, field.Invalid(at, name, msg))
	}
	return errs
}

var (
	groupPolicies = []storagev1.FSGroupPolicy{storagev1.FileFSGroupPolicy, storagev1.NoneFSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy}
	modes         = []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecycleEphemeral, storagev1.VolumeLifecyclePersistent}
)

func validate(d *storagev1.CSIDriver) field.ErrorList {
	errs := ValidateName(d.Name, field.NewPath("name"))
	spec := field.NewPath("spec")
	if p := d.Spec.FSGroupPolicy; p != nil && !slices.Contains(groupPolicies, *p) {
		errs = append(errs, field.NotSupported(spec.Child("fsGroupPolicy"), *p, groupPolicies))
	}
	errs = append(errs, validateTokens(d.Spec.TokenRequests, spec.Child("tokenRequests"))...)
	for _, m := range d.Spec.VolumeLifecycleModes {
		if !slices.Contains(modes, m) {
			errs = append(errs, field.NotSupported(spec.Child("volumeLifecycleModes"), m, modes))
		}
	}
	return errs
}

func validateTokens(all []storagev1.TokenRequest, list *field.Path) field.ErrorList {
	const least = 10 * 60
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, t := range all {
		at := list.Index(i)
		if seen.Has(t.Audience) {
			errs = append(errs, field.Duplicate(at.Child("audience"), t.Audience))
		}
		seen.Insert(t.Audience)
		if t.ExpirationSeconds == nil {
			continue
		}
		if *t.ExpirationSeconds < least {
			errs = append(errs, field.Invalid(at.Child("expirationSeconds"), *t.ExpirationSeconds, "may not specify a duration less than 10 minutes"))
		}
		if *t.ExpirationSeconds > math.MaxUint32+1 {
			errs = append(errs, field.Invalid(at.Child("expirationSeconds"), *t.ExpirationSeconds, "may not specify a duration larger than 2^32 seconds"))
		}
	}
	return errs
}

func validateChange(d, old *storagev1.CSIDriver) field.ErrorList {
	spec := field.NewPath("spec")
	errs := apivalidation.ValidateImmutableField(d.Spec.AttachRequired, old.Spec.AttachRequired, spec.Child("attachedRequired"))
	return append(errs, apivalidation.ValidateImmutableField(d.Spec.VolumeLifecycleModes, old.Spec.VolumeLifecycleModes, spec.Child("volumeLifecycleModes"))...)
}

func columns() resource.Columns[*storagev1.CSIDriver] {
	doc := storagev1.CSIDriverSpec{}.SwaggerDoc()
	return resource.Columns[*storagev1.CSIDriver]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "AttachRequired", Type: "boolean", Description: doc["attachRequired"]},
			{Name: "PodInfoOnMount", Type: "boolean", Description: doc["podInfoOnMount"]},
			{Name: "StorageCapacity", Type: "boolean", Description: doc["storageCapacity"]},
			{Name: "TokenRequests", Type: "string", Description: doc["tokenRequests"]},
			{Name: "RequiresRepublish", Type: "boolean", Description: doc["requiresRepublish"]},
			{Name: "Modes", Type: "string", Description: doc["volumeLifecycleModes"]},
			resource.AgeColumn(),
		},
		Row: func(d *storagev1.CSIDriver) []any {
			s := &d.Spec
			return []any{d.Name, ptr.Deref(s.AttachRequired, true), ptr.Deref(s.PodInfoOnMount, false), ptr.Deref(s.StorageCapacity, false),
				audiences(s.TokenRequests), ptr.Deref(s.RequiresRepublish, false), joined(s.VolumeLifecycleModes), resource.Age(d)}
		},
	}
}

func audiences(all []storagev1.TokenRequest) string {
	if len(all) == 0 {
		return "<unset>"
	}
	list := make([]string, len(all))
	for i, t := range all {
		list[i] = t.Audience
	}
	return strings.Join(list, ",")
}

func joined(all []storagev1.VolumeLifecycleMode) string {
	if len(all) == 0 {
		return "<none>"
	}
	list := make([]string, len(all))
	for i, m := range all {
		list[i] = fmt.Sprint(m)
	}
	return strings.Join(list, ",")
}
