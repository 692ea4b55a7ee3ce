// Package selfsubjectaccessreview answers what the caller may do, for
// `kubectl auth can-i`.
package selfsubjectaccessreview

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/authorization"
	"laterna.dev/laterna/internal/registry/bounds"
)

// NewStorage returns the storage of selfsubjectaccessreviews.
func NewStorage(a authorizer.UnconditionalAuthorizer) rest.Storage {
	return &authorization.Review{
		Singular:  "selfsubjectaccessreview",
		NewObject: func() runtime.Object { return &authorizationv1.SelfSubjectAccessReview{} },
		Decide: func(ctx context.Context, obj runtime.Object, validate func() error) (runtime.Object, error) {
			review, ok := obj.(*authorizationv1.SelfSubjectAccessReview)
			if !ok {
				return nil, apierrors.NewBadRequest(fmt.Sprintf("not a SelfSubjectAccessReview: %#v", obj))
			}
			spec := review.Spec
			errs := authorization.ValidateQuestion(spec.ResourceAttributes, spec.NonResourceAttributes)
			errs = append(errs, authorization.ValidateMetadata(review.ObjectMeta, false)...)
			if len(errs) > 0 {
				return nil, bounds.Invalid(authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview").GroupKind(), "", errs)
			}
			u, ok := request.UserFrom(ctx)
			if !ok {
				return nil, apierrors.NewBadRequest("no user present on request")
			}
			if err := validate(); err != nil {
				return nil, err
			}
			review.Status = authorization.Ask(ctx, a, authorization.Attributes(u, spec.ResourceAttributes, spec.NonResourceAttributes))
			return review, nil
		},
	}
}
