// Package storageversionmigration owns the StorageVersionMigration kind of
// storagemigration.k8s.io/v1: validation, table and storage with the status subresource.
// Each kind is stored in one version here, so that there is nothing to migrate.
package storageversionmigration

import (
	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/resource"
)

type migration = storagemigrationv1.StorageVersionMigration

// Unserved is what is said of every migration that is made.
const Unserved = "spec.resource: nothing migrates objects in Laterna, which stores each kind in one version: the object is only stored"

// Definition describes migrations.
func Definition() resource.Definition[*migration] {
	halves := resource.Halves[*migration, storagemigrationv1.StorageVersionMigrationSpec, storagemigrationv1.StorageVersionMigrationStatus]{
		Spec:      func(m *migration) *storagemigrationv1.StorageVersionMigrationSpec { return &m.Spec },
		Status:    func(m *migration) *storagemigrationv1.StorageVersionMigrationStatus { return &m.Status },
		Uncounted: true,
	}
	rules := halves.Main(validate, func(m, old *migration) field.ErrorList {
		return append(validate(m), apivalidation.ValidateImmutableField(m.Spec, old.Spec, field.NewPath("spec"))...)
	})
	rules.WarnCreate = resource.OnlyStored[*migration](Unserved)
	return resource.Definition[*migration]{
		GroupVersion: storagemigrationv1.SchemeGroupVersion,
		Plural:       "storageversionmigrations",
		Singular:     "storageversionmigration",
		New:          func() *migration { return &migration{} },
		NewList:      func() runtime.Object { return &storagemigrationv1.StorageVersionMigrationList{} },
		Rules:        rules,
		Status:       halves.Sub(validateStatus),
		Columns: resource.Columns[*migration]{
			Columns: []resource.Column{
				resource.Name(),
				{Name: "Resource", Type: "string", Description: storagemigrationv1.StorageVersionMigrationSpec{}.SwaggerDoc()["resource"]},
				resource.AgeColumn(),
			},
			Row: func(m *migration) []any { return []any{m.Name, named(m.Spec.Resource), resource.Age(m)} },
		},
	}
}

func named(r metav1.GroupResource) string {
	if r.Group == "" {
		return r.Resource
	}
	return r.Resource + "." + r.Group
}

func validate(m *migration) (errs field.ErrorList) {
	at, r := field.NewPath("spec", "resource"), m.Spec.Resource
	if r.Resource == "" {
		errs = append(errs, field.Required(at.Child("resource"), "resource is required to be set"))
	} else {
		errs = append(errs, check.Messages(validation.IsDNS1035Label(r.Resource), r.Resource, at.Child("resource"))...)
	}
	if r.Group != "" {
		errs = append(errs, check.Subdomain(r.Group, at.Child("group"))...)
	}
	return errs
}

func validateStatus(m, old *migration) field.ErrorList {
	status := field.NewPath("status")
	at, conditions := status.Child("resourceVersion"), status.Child("conditions")
	now, was := m.Status.ResourceVersion, old.Status.ResourceVersion
	var errs field.ErrorList
	if now != "" {
		if _, err := resourceversion.CompareResourceVersion(now, now); err != nil {
			errs = append(errs, field.Invalid(at, now, err.Error()))
		}
	}
	errs = append(errs, metavalidation.ValidateConditions(m.Status.Conditions, conditions)...)
	if was != "" && was != now {
		errs = append(errs, field.Invalid(at, now, apivalidation.FieldImmutableErrorMsg))
	}
	is := func(m *migration, t storagemigrationv1.MigrationConditionType) bool {
		return meta.IsStatusConditionTrue(m.Status.Conditions, string(t))
	}
	ran, failed, running := is(m, storagemigrationv1.MigrationSucceeded), is(m, storagemigrationv1.MigrationFailed), is(m, storagemigrationv1.MigrationRunning)
	for _, rule := range []struct {
		broken  bool
		message string
	}{
		{ran && failed, "Both success and failed conditions cannot be true at the same time"},
		{ran && running, "Running condition cannot be true when success condition is true"},
		{failed && running, "Running condition cannot be true when failed condition is true"},
		{is(old, storagemigrationv1.MigrationSucceeded) && !ran, "Success condition cannot be set to false once it is true"},
		{is(old, storagemigrationv1.MigrationFailed) && !failed, "Failed condition cannot be set to false once it is true"},
	} {
		if rule.broken {
			errs = append(errs, field.Invalid(conditions, m.Status.Conditions, rule.message))
		}
	}
	return errs
}
