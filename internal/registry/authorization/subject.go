package authorization

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"laterna.dev/laterna/internal/registry/bounds"
	"laterna.dev/laterna/internal/registry/resource"
)

// SubjectAccessReview answers what somebody else may do.
func SubjectAccessReview(a authorizer.UnconditionalAuthorizer) resource.Question[*authorizationv1.SubjectAccessReview] {
	type review = authorizationv1.SubjectAccessReview
	return resource.Question[*review]{
		Plural:   "subjectaccessreviews",
		Singular: "subjectaccessreview",
		New:      func() *review { return &review{} },
		Check: func(_ context.Context, r *review) error {
			errs := validateQuestion(r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes)
			errs = append(errs, validateSubject(r.Spec)...)
			return invalid("SubjectAccessReview", append(errs, validateMetadata(r.ObjectMeta, false)...))
		},
		Answer: func(ctx context.Context, r *review) (*review, error) {
			r.Status = ask(ctx, a, attributes(subject(r.Spec), r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes))
			return r, nil
		},
	}
}

// SelfSubjectAccessReview answers what the caller may do, for `kubectl auth can-i`.
func SelfSubjectAccessReview(a authorizer.UnconditionalAuthorizer) resource.Question[*authorizationv1.SelfSubjectAccessReview] {
	type review = authorizationv1.SelfSubjectAccessReview
	return resource.Question[*review]{
		Plural:   "selfsubjectaccessreviews",
		Singular: "selfsubjectaccessreview",
		New:      func() *review { return &review{} },
		Check: func(ctx context.Context, r *review) error {
			errs := validateQuestion(r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes)
			if err := invalid("SelfSubjectAccessReview", append(errs, validateMetadata(r.ObjectMeta, false)...)); err != nil {
				return err
			}
			_, err := caller(ctx)
			return err
		},
		Answer: func(ctx context.Context, r *review) (*review, error) {
			u, err := caller(ctx)
			if err != nil {
				return nil, err
			}
			r.Status = ask(ctx, a, attributes(u, r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes))
			return r, nil
		},
	}
}

// LocalSubjectAccessReview answers what somebody else may do in one namespace, for
// callers who may ask only there.
func LocalSubjectAccessReview(a authorizer.UnconditionalAuthorizer) resource.Question[*authorizationv1.LocalSubjectAccessReview] {
	type review = authorizationv1.LocalSubjectAccessReview
	return resource.Question[*review]{
		Plural:     "localsubjectaccessreviews",
		Singular:   "localsubjectaccessreview",
		Namespaced: true,
		New:        func() *review { return &review{} },
		Check: func(ctx context.Context, r *review) error {
			if err := invalid("LocalSubjectAccessReview", validateLocal(r)); err != nil {
				return err
			}
			namespace := request.NamespaceValue(ctx)
			if namespace == "" {
				return apierrors.NewBadRequest(fmt.Sprintf("namespace is required on this type: %v", namespace))
			}
			if namespace != r.Namespace {
				return apierrors.NewBadRequest(fmt.Sprintf("spec.resourceAttributes.namespace must match namespace: %v", namespace))
			}
			return nil
		},
		Answer: func(ctx context.Context, r *review) (*review, error) {
			r.Status = ask(ctx, a, attributes(subject(r.Spec), r.Spec.ResourceAttributes, nil))
			return r, nil
		},
	}
}

func validateLocal(r *authorizationv1.LocalSubjectAccessReview) field.ErrorList {
	errs := validateQuestion(r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes)
	errs = append(errs, validateSubject(r.Spec)...)
	errs = append(errs, validateMetadata(r.ObjectMeta, true)...)
	if asked := r.Spec.ResourceAttributes; asked != nil && asked.Namespace != r.Namespace {
		errs = append(errs, field.Invalid(field.NewPath("spec.resourceAttributes.namespace"), asked.Namespace, "must match metadata.namespace"))
	}
	if r.Spec.NonResourceAttributes != nil {
		errs = append(errs, field.Invalid(field.NewPath("spec.nonResourceAttributes"), r.Spec.NonResourceAttributes, "disallowed on this kind of request"))
	}
	return errs
}

// invalid returns what is wrong with a review of that kind as the error of its request,
// nil for nothing.
func invalid(kind string, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	return bounds.Invalid(authorizationv1.SchemeGroupVersion.WithKind(kind).GroupKind(), "", errs)
}
