package apiextensions

import (
	"context"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	listers "k8s.io/apiextensions-apiserver/pkg/client/listers/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"

	"laterna.dev/laterna/internal/registry/bounds"
)

// manyElements is how many elements an object must have for its faults to be counted
// before the library lists them.
const manyElements = 1000

// faults is admission that refuses objects with so many faults that to list them all, as
// the library does, takes time that grows with the square of their number. Others it
// leaves to the library, and what it refuses it refuses in its words.
type faults struct {
	admission.Interface
	definitions listers.CustomResourceDefinitionLister
}

var (
	_ admission.MutationInterface   = &faults{}
	_ admission.ValidationInterface = &faults{}
)

// Admit implements admission.MutationInterface.
func (f *faults) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if chain, ok := f.Interface.(admission.MutationInterface); ok {
		if err := chain.Admit(ctx, a, o); err != nil {
			return err
		}
	}
	if a.GetObject() == nil {
		return nil
	}
	if err := inMetadata(a.GetKind().GroupKind(), a.GetObject()); err != nil {
		return err
	}
	return f.inContent(a)
}

// Validate implements admission.ValidationInterface.
func (f *faults) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if chain, ok := f.Interface.(admission.ValidationInterface); ok {
		return chain.Validate(ctx, a, o)
	}
	return nil
}

// inMetadata refuses an object with many faults in its metadata.
func inMetadata(kind schema.GroupKind, obj runtime.Object) error {
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil // which has none
	}
	errs := apivalidation.ValidateObjectMetaAccessor(m, m.GetNamespace() != "", apivalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
	if !bounds.Full(errs) {
		return nil
	}
	return bounds.Invalid(kind, m.GetName(), errs)
}

// inContent refuses a large object with many faults against its schema.
func (f *faults) inContent(a admission.Attributes) error {
	obj, ok := a.GetObject().(*unstructured.Unstructured)
	if !ok || elements(obj.Object, manyElements) < manyElements {
		return nil
	}
	definition, err := f.definitions.Get(a.GetResource().GroupResource().String())
	if err != nil {
		return nil // the library says so
	}
	schema, err := apihelpers.GetSchemaForVersion(definition, obj.GroupVersionKind().Version)
	if err != nil || schema == nil || schema.OpenAPIV3Schema == nil {
		return nil
	}
	internal := &apiextensions.CustomResourceValidation{}
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(schema, internal, nil); err != nil {
		return err
	}
	whole := &shape{schema: *internal.OpenAPIV3Schema}
	errs, err := whole.faultsIn(nil, obj.Object, nil)
	if err != nil || !bounds.Full(errs) {
		return err
	}
	// The library lets faults be that were there before.
	if old, ok := a.GetOldObject().(*unstructured.Unstructured); ok {
		before, err := whole.faultsIn(nil, old.Object, nil)
		if err != nil || bounds.Full(before) {
			return err
		}
	}
	return bounds.Invalid(a.GetKind().GroupKind(), obj.GetName(), errs)
}
