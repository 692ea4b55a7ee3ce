// Package lease owns the Lease kind of coordination.k8s.io/v1: validation, table
// and storage. Node heartbeats are written by internal/node and judged by
// internal/controller/nodelifecycle.
package lease

import (
	"context"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes leases.
func Definition() resource.Definition[*coordinationv1.Lease] {
	return resource.Definition[*coordinationv1.Lease]{
		GroupVersion: coordinationv1.SchemeGroupVersion,
		Plural:       "leases",
		Singular:     "lease",
		Namespaced:   true,
		New:          func() *coordinationv1.Lease { return &coordinationv1.Lease{} },
		NewList:      func() runtime.Object { return &coordinationv1.LeaseList{} },
		Rules: resource.Rules[*coordinationv1.Lease]{
			PrepareCreate: func(_ context.Context, l *coordinationv1.Lease) { dropElection(l) },
			PrepareUpdate: func(_ context.Context, l, _ *coordinationv1.Lease) { dropElection(l) },
			Validate:      func(_ context.Context, l *coordinationv1.Lease) field.ErrorList { return validate(l) },
			ValidateUpdate: func(_ context.Context, l, _ *coordinationv1.Lease) field.ErrorList {
				return validate(l)
			},
			AllowCreateOnUpdate:    true,
			RequireResourceVersion: true,
		},
		Columns: columns(),
	}
}

// dropElection clears the fields of coordinated leader election, which upstream
// keeps only where that feature is switched on.
func dropElection(l *coordinationv1.Lease) {
	l.Spec.Strategy, l.Spec.PreferredHolder = nil, nil
}

func validate(l *coordinationv1.Lease) field.ErrorList {
	var errs field.ErrorList
	spec := field.NewPath("spec")
	if d := l.Spec.LeaseDurationSeconds; d != nil && *d <= 0 {
		errs = append(errs, field.Invalid(spec.Child("leaseDurationSeconds"), *d, "must be greater than 0"))
	}
	if n := l.Spec.LeaseTransitions; n != nil && *n < 0 {
		errs = append(errs, field.Invalid(spec.Child("leaseTransitions"), *n, "must be greater than or equal to 0"))
	}
	return errs
}

func columns() resource.Columns[*coordinationv1.Lease] {
	return resource.Columns[*coordinationv1.Lease]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Holder", Type: "string", Description: coordinationv1.LeaseSpec{}.SwaggerDoc()["holderIdentity"]},
			resource.AgeColumn(),
		},
		Row: func(l *coordinationv1.Lease) []any {
			holder := ""
			if l.Spec.HolderIdentity != nil {
				holder = *l.Spec.HolderIdentity
			}
			return []any{l.Name, holder, resource.Age(l)}
		},
	}
}
