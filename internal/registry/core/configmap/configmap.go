// Package configmap owns the ConfigMap kind of core/v1: validation, table and
// storage. Projecting config maps into pods lives in projection and internal/node.
package configmap

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes config maps.
func Definition() resource.Definition[*corev1.ConfigMap] {
	return resource.Definition[*corev1.ConfigMap]{
		GroupVersion: corev1.SchemeGroupVersion,
		Plural:       "configmaps",
		Singular:     "configmap",
		ShortNames:   []string{"cm"},
		Namespaced:   true,
		New:          func() *corev1.ConfigMap { return &corev1.ConfigMap{} },
		NewList:      func() runtime.Object { return &corev1.ConfigMapList{} },
		Rules: resource.Rules[*corev1.ConfigMap]{
			Validate: func(_ context.Context, c *corev1.ConfigMap) field.ErrorList { return validate(c) },
			ValidateUpdate: func(_ context.Context, c, old *corev1.ConfigMap) field.ErrorList {
				return append(validateImmutable(c, old), validate(c)...)
			},
		},
		Columns: columns(),
		// Watches of one object by name are how nodes and workloads follow
		// configuration; the index keeps each of them O(1).
		Indexed: map[string]func(*corev1.ConfigMap) string{
			"metadata.name": func(c *corev1.ConfigMap) string { return c.Name },
		},
	}
}

// validate checks data and binaryData: key syntax, no key in both, and at most
// corev1.MaxSecretSize bytes of values in sum.
func validate(c *corev1.ConfigMap) field.ErrorList {
	var errs field.ErrorList
	size := 0
	for _, key := range slices.Sorted(maps.Keys(c.Data)) {
		at := field.NewPath("data").Key(key)
		errs = append(errs, validateKey(key, at)...)
		if _, twice := c.BinaryData[key]; twice {
			errs = append(errs, field.Invalid(at, key, "duplicate of key present in binaryData"))
		}
		size += len(c.Data[key])
	}
	for _, key := range slices.Sorted(maps.Keys(c.BinaryData)) {
		errs = append(errs, validateKey(key, field.NewPath("binaryData").Key(key))...)
		size += len(c.BinaryData[key])
	}
	if size > corev1.MaxSecretSize {
		// The empty path stands for the whole object.
		errs = append(errs, field.TooLong(field.NewPath(""), "", corev1.MaxSecretSize))
	}
	return errs
}

func validateKey(key string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range validation.IsConfigMapKey(key) {
		errs = append(errs, field.Invalid(at, key, msg))
	}
	return errs
}

const immutableMessage = "field is immutable when `immutable` is set"

// validateImmutable refuses to change an object whose immutable field is true.
func validateImmutable(c, old *corev1.ConfigMap) field.ErrorList {
	if old.Immutable == nil || !*old.Immutable {
		return nil
	}
	var errs field.ErrorList
	if c.Immutable == nil || !*c.Immutable {
		errs = append(errs, field.Forbidden(field.NewPath("immutable"), immutableMessage))
	}
	if !maps.Equal(c.Data, old.Data) {
		errs = append(errs, field.Forbidden(field.NewPath("data"), immutableMessage))
	}
	if !maps.EqualFunc(c.BinaryData, old.BinaryData, slices.Equal[[]byte]) {
		errs = append(errs, field.Forbidden(field.NewPath("binaryData"), immutableMessage))
	}
	return errs
}

func columns() resource.Columns[*corev1.ConfigMap] {
	return resource.Columns[*corev1.ConfigMap]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Data", Type: "string", Description: corev1.ConfigMap{}.SwaggerDoc()["data"]},
			resource.AgeColumn(),
		},
		Row: func(c *corev1.ConfigMap) []any {
			return []any{c.Name, int64(len(c.Data) + len(c.BinaryData)), resource.Age(c)}
		},
	}
}
