// Package localsubjectaccessreview answers what somebody else may do in one
// namespace, for callers who may ask only there.
package localsubjectaccessreview

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/authorization"
	"laterna.dev/laterna/internal/registry/bounds"
)

// NewStorage returns the storage of localsubjectaccessreviews.
func NewStorage(a authorizer.UnconditionalAuthorizer) rest.Storage {
	return &authorization.Review{
		Singular:   "localsubjectaccessreview",
		Namespaced: true,
		NewObject:  func() runtime.Object { return &authorizationv1.LocalSubjectAccessReview{} },
		Decide: func(ctx context.Context, obj runtime.Object, validate func() error) (runtime.Object, error) {
			review, ok := obj.(*authorizationv1.LocalSubjectAccessReview)
			if !ok {
				return nil, apierrors.NewBadRequest(fmt.Sprintf("not a LocalSubjectAccessReview: %#v", obj))
			}
			if errs := check(review); len(errs) > 0 {
				return nil, bounds.Invalid(authorizationv1.SchemeGroupVersion.WithKind("LocalSubjectAccessReview").GroupKind(), "", errs)
			}
			namespace := request.NamespaceValue(ctx)
			if namespace == "" {
				return nil, apierrors.NewBadRequest(fmt.Sprintf("namespace is required on this type: %v", namespace))
			}
			if namespace != review.Namespace {
				return nil, apierrors.NewBadRequest(fmt.Sprintf("spec.resourceAttributes.namespace must match namespace: %v", namespace))
			}
			if err := validate(); err != nil {
				return nil, err
			}
			spec := review.Spec
			review.Status = authorization.Ask(ctx, a, authorization.Attributes(authorization.Subject(spec), spec.ResourceAttributes, nil))
			return review, nil
		},
	}
}

func check(review *authorizationv1.LocalSubjectAccessReview) field.ErrorList {
	spec := review.Spec
	errs := authorization.ValidateQuestion(spec.ResourceAttributes, spec.NonResourceAttributes)
	errs = append(errs, authorization.ValidateSubject(spec)...)
	errs = append(errs, authorization.ValidateMetadata(review.ObjectMeta, true)...)
	if r := spec.ResourceAttributes; r != nil && r.Namespace != review.Namespace {
		errs = append(errs, field.Invalid(field.NewPath("spec.resourceAttributes.namespace"), r.Namespace, "must match metadata.namespace"))
	}
	if spec.NonResourceAttributes != nil {
		errs = append(errs, field.Invalid(field.NewPath("spec.nonResourceAttributes"), spec.NonResourceAttributes, "disallowed on this kind of request"))
	}
	return errs
}
