// Package volumeattachment owns the VolumeAttachment kind of storage.k8s.io/v1:
// validation, table and storage with the status subresource. Nothing attaches volumes
// here.
package volumeattachment

import (
	"context"
	"math"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/persistentvolume"
	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/registry/storage/csidriver"
)

type attachment = storagev1.VolumeAttachment

// Unserved is what is said of every attachment that is made.
const Unserved = "spec: nothing attaches volumes in Laterna: the object is only stored, unless something that you install acts on it"

// Definition describes attachments.
func Definition() resource.Definition[*attachment] {
	halves := resource.Halves[*attachment, storagev1.VolumeAttachmentSpec, storagev1.VolumeAttachmentStatus]{
		Spec:      func(a *attachment) *storagev1.VolumeAttachmentSpec { return &a.Spec },
		Status:    func(a *attachment) *storagev1.VolumeAttachmentStatus { return &a.Status },
		Uncounted: true,
	}
	rules := halves.Main(validateNew, validateChange)
	rules.WarnCreate = resource.OnlyStored[*attachment](Unserved)
	rules.RequireResourceVersion = true
	status := halves.Sub(validateChange)
	status.RequireResourceVersion = true
	spec := status.PrepareUpdate
	status.PrepareUpdate = func(ctx context.Context, a, old *attachment) {
		spec(ctx, a, old)
		metav1.ResetObjectMetaForStatus(&a.ObjectMeta, &old.ObjectMeta)
	}
	status.Reset = append(status.Reset, "metadata")
	return resource.Definition[*attachment]{
		GroupVersion:  storagev1.SchemeGroupVersion,
		Plural:        "volumeattachments",
		Singular:      "volumeattachment",
		New:           func() *attachment { return &attachment{} },
		NewList:       func() runtime.Object { return &storagev1.VolumeAttachmentList{} },
		Rules:         rules,
		Status:        status,
		Columns:       columns(),
		ReturnDeleted: true,
	}
}

func validateNew(a *attachment) field.ErrorList {
	errs := validate(a)
	errs = append(errs, csidriver.ValidateName(a.Spec.Attacher, field.NewPath("spec.attacher"))...)
	if name := a.Spec.Source.PersistentVolumeName; name != nil {
		errs = append(errs, check.Subdomain(*name, field.NewPath("spec.source.persistentVolumeName"))...)
	}
	return errs
}

func validateChange(a, old *attachment) field.ErrorList {
	errs := validate(a)
	if !equality.Semantic.DeepEqual(a.Spec, old.Spec) {
		errs = append(errs, field.Invalid(field.NewPath("spec"), a.Spec, apivalidation.FieldImmutableErrorMsg))
	}
	return errs
}

func validate(a *attachment) field.ErrorList {
	spec, status := field.NewPath("spec"), field.NewPath("status")
	errs := check.Required(a.Spec.Attacher, spec.Child("attacher"))
	errs = append(errs, validateSource(&a.Spec.Source, spec.Child("source"))...)
	errs = append(errs, check.Subdomain(a.Spec.NodeName, spec.Child("nodeName"))...)
	size := 0
	for key, value := range a.Status.AttachmentMetadata {
		size += len(key) + len(value)
	}
	if size > maxMetadata {
		errs = append(errs, field.TooLong(status.Child("attachmentMetadata"), "", maxMetadata))
	}
	errs = append(errs, validateError(a.Status.AttachError, status.Child("attachError"))...)
	return append(errs, validateError(a.Status.DetachError, status.Child("detachError"))...)
}

const (
	maxMetadata = 256 * 1024
	maxMessage  = 1024
)

func validateSource(s *storagev1.VolumeAttachmentSource, at *field.Path) field.ErrorList {
	const one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
	name, inline := s.PersistentVolumeName, s.InlineVolumeSpec
	switch {
	case name == nil && inline == nil:
		return field.ErrorList{field.Required(at, one)}
	case name != nil && inline != nil:
		return field.ErrorList{field.Forbidden(at, one)}
	case inline != nil:
		return persistentvolume.ValidateInline(inline, at.Child("inlineVolumeSpec"))
	case *name == "":
		return field.ErrorList{field.Required(at.Child("persistentVolumeName"), "must specify non empty persistentVolumeName")}
	}
	return nil
}

func validateError(e *storagev1.VolumeError, at *field.Path) (errs field.ErrorList) {
	if e == nil {
		return nil
	}
	if len(e.Message) > maxMessage {
		errs = append(errs, field.TooLong(at.Child("message"), "", maxMessage))
	}
	if e.ErrorCode != nil && *e.ErrorCode < 0 {
		errs = append(errs, field.Invalid(at.Child("errorCode"), *e.ErrorCode, validation.InclusiveRangeError(0, math.MaxInt32)))
	}
	return errs
}

func columns() resource.Columns[*attachment] {
	spec := storagev1.VolumeAttachmentSpec{}.SwaggerDoc()
	return resource.Columns[*attachment]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Attacher", Type: "string", Format: "name", Description: spec["attacher"]},
			{Name: "PV", Type: "string", Description: storagev1.VolumeAttachmentSource{}.SwaggerDoc()["persistentVolumeName"]},
			{Name: "Node", Type: "string", Description: spec["nodeName"]},
			{Name: "Attached", Type: "boolean", Description: storagev1.VolumeAttachmentStatus{}.SwaggerDoc()["attached"]},
			resource.AgeColumn(),
		},
		Row: func(a *attachment) []any {
			volume := ""
			if a.Spec.Source.PersistentVolumeName != nil {
				volume = *a.Spec.Source.PersistentVolumeName
			}
			return []any{a.Name, a.Spec.Attacher, volume, a.Spec.NodeName, a.Status.Attached, resource.Age(a)}
		},
	}
}
