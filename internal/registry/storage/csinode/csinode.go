// Package csinode owns the CSINode kind of storage.k8s.io/v1: validation, table and
// storage. A kubelet says there which storage drivers its node has, and is not ready
// without it; the agent of this program has none and writes none.
package csinode

import (
	"context"

	storagev1 "k8s.io/api/storage/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/registry/storage/csidriver"
)

// Definition describes the storage drivers of nodes.
func Definition() resource.Definition[*storagev1.CSINode] {
	return resource.Definition[*storagev1.CSINode]{
		GroupVersion: storagev1.SchemeGroupVersion,
		Plural:       "csinodes",
		Singular:     "csinode",
		New:          func() *storagev1.CSINode { return &storagev1.CSINode{} },
		NewList:      func() runtime.Object { return &storagev1.CSINodeList{} },
		Rules: resource.Rules[*storagev1.CSINode]{
			Validate: func(_ context.Context, n *storagev1.CSINode) field.ErrorList { return validate(n) },
			ValidateUpdate: func(_ context.Context, n, old *storagev1.CSINode) field.ErrorList {
				return append(validate(n), validateChange(n, old)...)
			},
		},
		Columns: resource.Columns[*storagev1.CSINode]{
			Columns: []resource.Column{
				resource.Name(),
				{Name: "Drivers", Type: "integer", Description: "Drivers indicates the number of CSI drivers registered on the node"},
				resource.AgeColumn(),
			},
			Row: func(n *storagev1.CSINode) []any { return []any{n.Name, int64(len(n.Spec.Drivers)), resource.Age(n)} },
		},
	}
}

// maxID is how long the name of a node may be that a driver gives it.
const maxID = 256

func validate(n *storagev1.CSINode) field.ErrorList {
	var errs field.ErrorList
	list := field.NewPath("spec", "drivers")
	seen := sets.New[string]()
	for i, d := range n.Spec.Drivers {
		at := list.Index(i)
		errs = append(errs, csidriver.ValidateName(d.Name, at.Child("name"))...)
		switch {
		case d.NodeID == "":
			errs = append(errs, field.Required(at.Child("nodeID"), ""))
		case len(d.NodeID) > maxID:
			errs = append(errs, field.Invalid(at.Child("nodeID"), d.NodeID, validation.MaxLenError(maxID)))
		}
		if seen.Has(d.Name) {
			errs = append(errs, field.Duplicate(at.Child("name"), d.Name))
		}
		seen.Insert(d.Name)
		errs = append(errs, validateTopology(d.TopologyKeys, at.Child("topologyKeys"))...)
		if d.Allocatable != nil && d.Allocatable.Count != nil && *d.Allocatable.Count < 0 {
			errs = append(errs, field.Invalid(at.Child("allocatable", "count"), *d.Allocatable.Count, "must be greater than or equal to 0"))
		}
	}
	return errs
}

func validateTopology(keys []string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, key := range keys {
		if key == "" {
			errs = append(errs, field.Required(at.Index(i), ""))
		}
		if seen.Has(key) {
			errs = append(errs, field.Duplicate(at.Index(i), key))
		}
		seen.Insert(key)
		for _, msg := range validation.IsQualifiedName(key) {
			errs = append(errs, field.Invalid(at.Index(i), key, msg))
		}
	}
	return errs
}

// validateChange keeps what a driver has said of itself, but for how many volumes the
// node takes.
func validateChange(n, old *storagev1.CSINode) field.ErrorList {
	var errs field.ErrorList
	for _, before := range old.Spec.Drivers {
		for _, d := range n.Spec.Drivers {
			if d.Name == before.Name && (d.NodeID != before.NodeID || !apiequality.Semantic.DeepEqual(d.TopologyKeys, before.TopologyKeys)) {
				errs = append(errs, field.Invalid(field.NewPath("CSINodeDriver"), d, "field is immutable"))
			}
		}
	}
	return errs
}
