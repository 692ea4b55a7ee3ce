// Package subjectaccessreview answers what somebody else may do.
package subjectaccessreview

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/authorization"
	"laterna.dev/laterna/internal/registry/bounds"
)

// NewStorage returns the storage of subjectaccessreviews.
func NewStorage(a authorizer.UnconditionalAuthorizer) rest.Storage {
	return &authorization.Review{
		Singular:  "subjectaccessreview",
		NewObject: func() runtime.Object { return &authorizationv1.SubjectAccessReview{} },
		Decide: func(ctx context.Context, obj runtime.Object, validate func() error) (runtime.Object, error) {
			review, ok := obj.(*authorizationv1.SubjectAccessReview)
			if !ok {
				return nil, apierrors.NewBadRequest(fmt.Sprintf("not a SubjectAccessReview: %#v", obj))
			}
			spec := review.Spec
			errs := authorization.ValidateQuestion(spec.ResourceAttributes, spec.NonResourceAttributes)
			errs = append(errs, authorization.ValidateSubject(spec)...)
			errs = append(errs, authorization.ValidateMetadata(review.ObjectMeta, false)...)
			if len(errs) > 0 {
				return nil, bounds.Invalid(authorizationv1.SchemeGroupVersion.WithKind("SubjectAccessReview").GroupKind(), "", errs)
			}
			if err := validate(); err != nil {
				return nil, err
			}
			review.Status = authorization.Ask(ctx, a, authorization.Attributes(authorization.Subject(spec), spec.ResourceAttributes, spec.NonResourceAttributes))
			return review, nil
		},
	}
}
