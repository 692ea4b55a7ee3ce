// Package volumeattributesclass owns the VolumeAttributesClass kind of storage.k8s.io/v1:
// validation, table and storage. Nothing changes volumes here.
package volumeattributesclass

import (
	"context"
	"reflect"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/registry/storage/storageclass"
)

type class = storagev1.VolumeAttributesClass

// Unserved is what is said of every class that is made.
const Unserved = "driverName: nothing serves volumes in Laterna: the object is only stored, and changes none, unless something that you install does"

// defaultAnnotation marks the class of claims that name none.
const defaultAnnotation = "volumeattributesclass.alpha.kubernetes.io/is-default-class"

// Definition describes classes of attributes of volumes.
func Definition() resource.Definition[*class] {
	return resource.Definition[*class]{
		GroupVersion: storagev1.SchemeGroupVersion,
		Plural:       "volumeattributesclasses",
		Singular:     "volumeattributesclass",
		ShortNames:   []string{"vac"},
		New:          func() *class { return &class{} },
		NewList:      func() runtime.Object { return &storagev1.VolumeAttributesClassList{} },
		Rules: resource.Rules[*class]{
			Validate: func(_ context.Context, c *class) field.ErrorList { return validate(c) },
			ValidateUpdate: func(_ context.Context, c, old *class) field.ErrorList {
				return append(validate(c), validateChange(c, old)...)
			},
			WarnCreate: resource.OnlyStored[*class](Unserved),
		},
		Columns: resource.Columns[*class]{
			Columns: []resource.Column{
				resource.Name(),
				{Name: "DriverName", Type: "string", Description: class{}.SwaggerDoc()["driverName"]},
				resource.AgeColumn(),
			},
			Row: func(c *class) []any {
				return []any{storageclass.Marked(c.Name, c.Annotations, defaultAnnotation), c.DriverName, resource.Age(c)}
			},
		},
		ReturnDeleted: true,
	}
}

func validate(c *class) field.ErrorList {
	parameters := field.NewPath("parameters")
	errs := storageclass.ValidateDriver(c.DriverName, field.NewPath("driverName"))
	errs = append(errs, storageclass.ValidateParameters(c.Parameters, parameters)...)
	if len(c.Parameters) == 0 {
		errs = append(errs, field.Required(parameters, "must contain at least one key/value pair"))
	}
	return errs
}

func validateChange(c, old *class) (errs field.ErrorList) {
	if c.DriverName != old.DriverName {
		errs = append(errs, field.Forbidden(field.NewPath("driverName"), "updates to driverName are forbidden."))
	}
	if !reflect.DeepEqual(c.Parameters, old.Parameters) {
		errs = append(errs, field.Forbidden(field.NewPath("parameters"), "updates to parameters are forbidden."))
	}
	return errs
}
