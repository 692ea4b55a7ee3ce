// Package csistoragecapacity owns the CSIStorageCapacity kind of storage.k8s.io/v1:
// validation, table and storage. The scheduler of this program looks at no volumes of
// storage drivers.
package csistoragecapacity

import (
	"context"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/resource"
)

type capacity = storagev1.CSIStorageCapacity

// Unread is what is said of every object that is made.
const Unread = "capacity: the scheduler of Laterna looks at no volumes of storage drivers: the object is only stored"

// Definition describes the room that drivers have.
func Definition() resource.Definition[*capacity] {
	return resource.Definition[*capacity]{
		GroupVersion: storagev1.SchemeGroupVersion,
		Plural:       "csistoragecapacities",
		Singular:     "csistoragecapacity",
		Namespaced:   true,
		New:          func() *capacity { return &capacity{} },
		NewList:      func() runtime.Object { return &storagev1.CSIStorageCapacityList{} },
		Rules: resource.Rules[*capacity]{
			Validate: func(_ context.Context, c *capacity) field.ErrorList {
				return validate(c, metavalidation.LabelSelectorValidationOptions{})
			},
			ValidateUpdate: func(_ context.Context, c, old *capacity) field.ErrorList {
				o := metavalidation.LabelSelectorValidationOptions{AllowInvalidLabelValueInSelector: metavalidation.LabelSelectorHasInvalidLabelValue(old.NodeTopology)}
				return append(validate(c, o), validateChange(c, old)...)
			},
			WarnCreate: resource.OnlyStored[*capacity](Unread),
		},
		Columns: columns(),
	}
}

func validate(c *capacity, o metavalidation.LabelSelectorValidationOptions) field.ErrorList {
	errs := metavalidation.ValidateLabelSelector(c.NodeTopology, o, field.NewPath("nodeTopology"))
	errs = append(errs, check.Subdomain(c.StorageClassName, field.NewPath("storageClassName"))...)
	if c.Capacity != nil && c.Capacity.Sign() < 0 {
		errs = append(errs, field.Invalid(field.NewPath("capacity"), c.Capacity.String(), apivalidation.IsNegativeErrorMsg))
	}
	return errs
}

func validateChange(c, old *capacity) (errs field.ErrorList) {
	if !equality.Semantic.DeepEqual(c.NodeTopology, old.NodeTopology) {
		errs = append(errs, field.Invalid(field.NewPath("nodeTopology"), c.NodeTopology, apivalidation.FieldImmutableErrorMsg))
	}
	if c.StorageClassName != old.StorageClassName {
		errs = append(errs, field.Invalid(field.NewPath("storageClassName"), c.StorageClassName, apivalidation.FieldImmutableErrorMsg))
	}
	return errs
}

func columns() resource.Columns[*capacity] {
	doc := capacity{}.SwaggerDoc()
	return resource.Columns[*capacity]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "StorageClassName", Type: "string", Description: doc["storageClassName"]},
			{Name: "Capacity", Type: "string", Description: doc["capacity"]},
		},
		Row: func(c *capacity) []any {
			room := "<unset>"
			if c.Capacity != nil {
				room = c.Capacity.String()
			}
			return []any{c.Name, c.StorageClassName, room}
		},
	}
}
