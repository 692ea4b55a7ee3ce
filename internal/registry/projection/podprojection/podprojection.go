// Package podprojection owns the PodProjection kind of
// projection.laterna.dev/v1alpha1: validation, table and storage.
//
// The types live in api/projection/v1alpha1. Objects are written by
// internal/volumes/podprojection and, where their pod is gone, deleted by
// internal/controller/garbagecollector. Which node may write which object is decided by
// internal/authz/node and internal/admission/noderestriction.
package podprojection

import (
	"context"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/resource"
)

type object = v1alpha1.PodProjection

// nodeNameField is selectable, as it is on pods.
const nodeNameField = "spec.nodeName"

// Definition describes pod projections. There is no status subresource: one writer
// writes all of the object, and what it says about a new pod is stored with the first
// request. The system's clock tells how long tokens live.
func Definition(system clock.API) resource.Definition[*object] {
	return resource.Definition[*object]{
		GroupVersion: v1alpha1.SchemeGroupVersion,
		Plural:       v1alpha1.Plural,
		Singular:     "podprojection",
		ShortNames:   []string{"pproj"},
		Namespaced:   true,
		New:          func() *object { return &object{} },
		NewList:      func() runtime.Object { return &v1alpha1.PodProjectionList{} },
		Rules: resource.Rules[*object]{
			Validate:       func(_ context.Context, p *object) field.ErrorList { return validate(p) },
			ValidateUpdate: func(_ context.Context, p, old *object) field.ErrorList { return validateUpdate(p, old) },
		},
		Columns: columns(system),
		Fields:  func(p *object) fields.Set { return fields.Set{nodeNameField: p.Spec.NodeName} },
	}
}
