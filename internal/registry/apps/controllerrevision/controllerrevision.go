// Package controllerrevision owns the ControllerRevision kind of apps/v1: validation,
// table and storage. What a revision holds is the business of whoever keeps its history
// (internal/controller/workload/history).
package controllerrevision

import (
	"bytes"
	"context"
	"reflect"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes revisions.
func Definition() resource.Definition[*appsv1.ControllerRevision] {
	return resource.Definition[*appsv1.ControllerRevision]{
		GroupVersion: appsv1.SchemeGroupVersion,
		Plural:       "controllerrevisions",
		Singular:     "controllerrevision",
		Namespaced:   true,
		New:          func() *appsv1.ControllerRevision { return &appsv1.ControllerRevision{} },
		NewList:      func() runtime.Object { return &appsv1.ControllerRevisionList{} },
		Rules: resource.Rules[*appsv1.ControllerRevision]{
			PrepareUpdate: func(_ context.Context, r, old *appsv1.ControllerRevision) {
				if says(r, old) {
					r.Data = old.Data
				}
			},
			Validate: func(_ context.Context, r *appsv1.ControllerRevision) field.ErrorList { return validate(r) },
			ValidateUpdate: func(_ context.Context, r, old *appsv1.ControllerRevision) field.ErrorList {
				return append(validate(r), apivalidation.ValidateImmutableField(r.Data, old.Data, field.NewPath("data"))...)
			},
		},
		Columns: columns(),
	}
}

// says tells whether two revisions hold the same, written in another order perhaps.
func says(a, b *appsv1.ControllerRevision) bool {
	var x, y any
	return utiljson.Unmarshal(a.Data.Raw, &x) == nil && utiljson.Unmarshal(b.Data.Raw, &y) == nil && reflect.DeepEqual(x, y)
}

func validate(r *appsv1.ControllerRevision) field.ErrorList {
	var errs field.ErrorList
	if raw := bytes.TrimSpace(r.Data.Raw); r.Data.Object == nil && (len(raw) == 0 || string(raw) == "null") {
		errs = append(errs, field.Required(field.NewPath("data"), "data is mandatory"))
	}
	return append(errs, check.NonNegative(r.Revision, field.NewPath("revision"))...)
}

func columns() resource.Columns[*appsv1.ControllerRevision] {
	doc := appsv1.ControllerRevision{}.SwaggerDoc()
	return resource.Columns[*appsv1.ControllerRevision]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Controller", Type: "string", Description: "Controller of the object"},
			{Name: "Revision", Type: "string", Description: doc["revision"]},
			resource.AgeColumn(),
		},
		Row: func(r *appsv1.ControllerRevision) []any {
			return []any{r.Name, controller(r), strconv.FormatInt(r.Revision, 10), resource.Age(r)}
		},
	}
}

// controller names the controller of a revision, as "statefulset.apps/web".
func controller(r *appsv1.ControllerRevision) string {
	owner := metav1.GetControllerOf(r)
	if owner == nil {
		return "<none>"
	}
	kind := strings.ToLower(owner.Kind)
	if gv, err := schema.ParseGroupVersion(owner.APIVersion); err == nil && gv.Group != "" {
		kind += "." + gv.Group
	}
	return kind + "/" + owner.Name
}
