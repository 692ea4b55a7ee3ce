// Package storageclass owns the StorageClass kind of storage.k8s.io/v1: defaults,
// validation, table and storage, and the rules that classes of storage share. Nothing
// provisions volumes here: provisioners that are installed read classes.
package storageclass

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/resource"
)

type class = storagev1.StorageClass

// Unserved is what is said of every class that is made.
const Unserved = "provisioner: nothing provisions volumes in Laterna: the object is only stored, and claims of this class stay Pending, unless something that you install serves them"

// Definition describes classes of storage.
func Definition() resource.Definition[*class] {
	return resource.Definition[*class]{
		GroupVersion: storagev1.SchemeGroupVersion,
		Plural:       "storageclasses",
		Singular:     "storageclass",
		ShortNames:   []string{"sc"},
		New:          func() *class { return &class{} },
		NewList:      func() runtime.Object { return &storagev1.StorageClassList{} },
		Default:      setDefaults,
		Rules: resource.Rules[*class]{
			Validate: func(_ context.Context, c *class) field.ErrorList { return validate(c) },
			ValidateUpdate: func(_ context.Context, c, old *class) field.ErrorList {
				return append(validate(c), validateChange(c, old)...)
			},
			WarnCreate: resource.OnlyStored[*class](Unserved),
		},
		Columns:       columns(),
		ReturnDeleted: true,
	}
}

func setDefaults(c *class) {
	if c.ReclaimPolicy == nil {
		c.ReclaimPolicy = new(corev1.PersistentVolumeReclaimDelete)
	}
	if c.VolumeBindingMode == nil {
		c.VolumeBindingMode = new(storagev1.VolumeBindingImmediate)
	}
}

func validate(c *class) field.ErrorList {
	errs := ValidateDriver(c.Provisioner, field.NewPath("provisioner"))
	errs = append(errs, ValidateParameters(c.Parameters, field.NewPath("parameters"))...)
	if p := c.ReclaimPolicy; p != nil && *p != "" {
		errs = append(errs, check.SupportedIfSet(field.NewPath("reclaimPolicy"), p, corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRetain)...)
	}
	mode := field.NewPath("volumeBindingMode")
	if c.VolumeBindingMode == nil {
		errs = append(errs, field.Required(mode, ""))
	}
	errs = append(errs, check.SupportedIfSet(mode, c.VolumeBindingMode, storagev1.VolumeBindingImmediate, storagev1.VolumeBindingWaitForFirstConsumer)...)
	return append(errs, validateTopologies(c.AllowedTopologies, field.NewPath("allowedTopologies"))...)
}

// ValidateDriver checks the name of what serves a class.
func ValidateDriver(name string, at *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	return check.QualifiedName(strings.ToLower(name), at)
}

const (
	maxParameters    = 512
	maxParameterSize = 256 * 1024
)

// ValidateParameters checks what a class tells its driver.
func ValidateParameters(all map[string]string, at *field.Path) (errs field.ErrorList) {
	if len(all) > maxParameters {
		return field.ErrorList{field.TooLong(at, "", maxParameters)}
	}
	size := 0
	for key, value := range all {
		if key == "" {
			errs = append(errs, field.Invalid(at, key, "field can not be empty."))
		}
		size += len(key) + len(value)
	}
	if size > maxParameterSize {
		errs = append(errs, field.TooLong(at, "", maxParameterSize))
	}
	return errs
}

func validateTopologies(all []corev1.TopologySelectorTerm, list *field.Path) (errs field.ErrorList) {
	seen := map[string]bool{}
	for i, term := range all {
		at := list.Index(i).Child("matchLabelExpressions")
		values := map[string]map[string]bool{}
		for j, e := range term.MatchLabelExpressions {
			of, wrong := validateExpression(e, at.Index(j))
			errs = append(errs, wrong...)
			if values[e.Key] != nil {
				errs = append(errs, field.Duplicate(at.Index(j).Child("key"), e.Key))
			}
			values[e.Key] = of
		}
		as := inOneForm(values)
		if seen[as] {
			errs = append(errs, field.Duplicate(at, ""))
		}
		seen[as] = true
	}
	return errs
}

// inOneForm is the same text for terms that ask the same. Terms are too many to be compared
// each with each.
func inOneForm(values map[string]map[string]bool) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "%q:%q;", key, slices.Sorted(maps.Keys(values[key])))
	}
	return b.String()
}

func validateExpression(e corev1.TopologySelectorLabelRequirement, at *field.Path) (map[string]bool, field.ErrorList) {
	errs := check.RequiredList(len(e.Values), at.Child("values"))
	values := map[string]bool{}
	for i, v := range e.Values {
		if values[v] {
			errs = append(errs, field.Duplicate(at.Child("values").Index(i), v))
		}
		values[v] = true
	}
	return values, append(errs, metavalidation.ValidateLabelName(e.Key, at.Child("key"))...)
}

func validateChange(c, old *class) (errs field.ErrorList) {
	forbid := func(name string, changed bool) {
		if changed {
			errs = append(errs, field.Forbidden(field.NewPath(name), "updates to "+name+" are forbidden."))
		}
	}
	forbid("parameters", !reflect.DeepEqual(c.Parameters, old.Parameters))
	forbid("provisioner", c.Provisioner != old.Provisioner)
	forbid("reclaimPolicy", !reflect.DeepEqual(c.ReclaimPolicy, old.ReclaimPolicy))
	return append(errs, apivalidation.ValidateImmutableField(c.VolumeBindingMode, old.VolumeBindingMode, field.NewPath("volumeBindingMode"))...)
}
