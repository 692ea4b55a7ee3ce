// Package runtimeclass owns the RuntimeClass kind of node.k8s.io/v1: validation, table
// and storage. What a class means for the pods that name it is decided at their
// creation, in internal/admission/runtimeclass; whether a node's runtime has the handler
// shows when the agent makes the pod's sandbox.
package runtimeclass

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/resources"
	"laterna.dev/laterna/internal/registry/core/podspec/scheduling"
	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes classes of container runtimes.
func Definition() resource.Definition[*nodev1.RuntimeClass] {
	return resource.Definition[*nodev1.RuntimeClass]{
		GroupVersion: nodev1.SchemeGroupVersion,
		Plural:       "runtimeclasses",
		Singular:     "runtimeclass",
		New:          func() *nodev1.RuntimeClass { return &nodev1.RuntimeClass{} },
		NewList:      func() runtime.Object { return &nodev1.RuntimeClassList{} },
		Rules: resource.Rules[*nodev1.RuntimeClass]{
			Validate: func(_ context.Context, c *nodev1.RuntimeClass) field.ErrorList { return validate(c) },
			ValidateUpdate: func(_ context.Context, c, old *nodev1.RuntimeClass) field.ErrorList {
				return apivalidation.ValidateImmutableField(c.Handler, old.Handler, field.NewPath("handler"))
			},
			WarnCreate:          func(_ context.Context, c *nodev1.RuntimeClass) []string { return warnings(c) },
			WarnUpdate:          func(_ context.Context, c, _ *nodev1.RuntimeClass) []string { return warnings(c) },
			AllowCreateOnUpdate: true,
		},
		Columns: resource.Columns[*nodev1.RuntimeClass]{
			Columns: []resource.Column{
				resource.Name(),
				{Name: "Handler", Type: "string", Description: nodev1.RuntimeClass{}.SwaggerDoc()["handler"]},
				resource.AgeColumn(),
			},
			Row: func(c *nodev1.RuntimeClass) []any { return []any{c.Name, c.Handler, resource.Age(c)} },
		},
	}
}

// warnings names labels of nodes that have got other names.
func warnings(c *nodev1.RuntimeClass) (all []string) {
	if c.Scheduling == nil {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(c.Scheduling.NodeSelector)) {
		if message, ok := scheduling.RenamedLabel(key); ok {
			all = append(all, fmt.Sprintf("%s: %s", field.NewPath("scheduling", "nodeSelector"), message))
		}
	}
	return all
}

func validate(c *nodev1.RuntimeClass) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range apivalidation.NameIsDNSLabel(c.Handler, false) {
		errs = append(errs, field.Invalid(field.NewPath("handler"), c.Handler, msg))
	}
	if c.Overhead != nil {
		fixed := corev1.ResourceRequirements{Limits: c.Overhead.PodFixed}
		errs = append(errs, resources.Validate(&fixed, resources.OfContainer, nil, field.NewPath("overhead"))...)
	}
	if s := c.Scheduling; s != nil {
		at := field.NewPath("scheduling")
		errs = append(errs, metavalidation.ValidateLabels(s.NodeSelector, at.Child("nodeSelector"))...)
		errs = append(errs, validateTolerations(s.Tolerations, at.Child("tolerations"))...)
	}
	return errs
}

// validateTolerations refuses repeated ones, which a pod could not be given.
func validateTolerations(all []corev1.Toleration, at *field.Path) field.ErrorList {
	errs := scheduling.ValidateTolerations(all, at)
	for i := range all {
		for j := range all[:i] {
			if all[i].MatchToleration(&all[j]) {
				errs = append(errs, field.Duplicate(at.Index(i), all[i]))
				break
			}
		}
	}
	return errs
}
