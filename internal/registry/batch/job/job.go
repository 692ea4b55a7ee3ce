// Package job owns the Job kind of batch/v1: defaults, the selector and labels that are
// made from its UID, validation, status and table. The templates that CronJobs have are
// checked here, too.
//
// What a Job does is decided in internal/controller/job; the text of indexes belongs to
// internal/indexes, that of pod templates to internal/registry/core/podspec.
package job

import (
	"context"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes jobs.
func Definition() resource.Definition[*batchv1.Job] {
	return resource.Definition[*batchv1.Job]{
		GroupVersion: batchv1.SchemeGroupVersion,
		Plural:       "jobs",
		Singular:     "job",
		Categories:   []string{"all"},
		Namespaced:   true,
		New:          func() *batchv1.Job { return &batchv1.Job{} },
		NewList:      func() runtime.Object { return &batchv1.JobList{} },
		Default:      setDefaults,
		Rules:        rules(),
		Status:       statusRules(),
		Columns:      columns(),
		Fields: func(j *batchv1.Job) fields.Set {
			return fields.Set{"status.successful": strconv.Itoa(int(j.Status.Succeeded))}
		},
	}
}

func rules() resource.Rules[*batchv1.Job] {
	return resource.Rules[*batchv1.Job]{
		PrepareCreate: func(_ context.Context, j *batchv1.Job) {
			j.Status = batchv1.JobStatus{}
			j.Generation = 1
			generateSelector(j)
			podspec.SyncServiceAccount(&j.Spec.Template.Spec)
		},
		PrepareUpdate: func(_ context.Context, j, old *batchv1.Job) {
			j.Status = old.Status
			podspec.SyncServiceAccount(&j.Spec.Template.Spec)
			if !apiequality.Semantic.DeepEqual(j.Spec, old.Spec) {
				j.Generation = old.Generation + 1
			}
		},
		Validate: func(_ context.Context, j *batchv1.Job) field.ErrorList { return validate(j) },
		ValidateUpdate: func(_ context.Context, j, old *batchv1.Job) field.ErrorList {
			return append(validate(j), validateChange(j, old)...)
		},
		WarnCreate: func(_ context.Context, j *batchv1.Job) []string {
			return append(NameWarnings(j.Name), SpecWarnings(&j.Spec, field.NewPath("spec"))...)
		},
		WarnUpdate: func(_ context.Context, j, old *batchv1.Job) []string {
			if j.Generation == old.Generation {
				return nil
			}
			return SpecWarnings(&j.Spec, field.NewPath("spec"))
		},
		Reset:      []string{"status"},
		Dependents: rest.OrphanDependents,
	}
}

func statusRules() *resource.Rules[*batchv1.Job] {
	return &resource.Rules[*batchv1.Job]{
		PrepareUpdate:  func(_ context.Context, j, old *batchv1.Job) { j.Spec = old.Spec },
		ValidateUpdate: func(_ context.Context, j, old *batchv1.Job) field.ErrorList { return validateStatus(j, old) },
		Reset:          []string{"spec"},
	}
}
