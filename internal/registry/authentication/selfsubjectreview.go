package authentication

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/request"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/resource"
)

// SelfSubjectReview tells callers who they are, for `kubectl auth whoami` (which prints
// the answer as a table by itself). now stamps the answers.
func SelfSubjectReview(now clock.Wall) resource.Question[*authenticationv1.SelfSubjectReview] {
	type review = authenticationv1.SelfSubjectReview
	return resource.Question[*review]{
		Plural:   "selfsubjectreviews",
		Singular: "selfsubjectreview",
		New:      func() *review { return &review{} },
		Answer: func(ctx context.Context, _ *review) (*review, error) {
			u, ok := request.UserFrom(ctx)
			if !ok {
				return nil, apierrors.NewBadRequest("no user present on request")
			}
			return &review{
				ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Now())},
				Status:     authenticationv1.SelfSubjectReviewStatus{UserInfo: userInfo(u)},
			}, nil
		},
	}
}
