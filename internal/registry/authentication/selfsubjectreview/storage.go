// Package selfsubjectreview serves authentication.k8s.io/v1 SelfSubjectReview:
// it tells callers who they are, for `kubectl auth whoami` (which prints the
// answer as a table by itself).
package selfsubjectreview

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/clock"

	"laterna.dev/laterna/internal/registry/authentication/tokenreview"
)

// NewStorage returns the storage of selfsubjectreviews. Now stamps the answers.
func NewStorage(now clock.PassiveClock) map[string]rest.Storage {
	return map[string]rest.Storage{"selfsubjectreviews": &storage{now}}
}

type storage struct{ clock clock.PassiveClock }

var (
	_ rest.Creater              = &storage{}
	_ rest.Scoper               = &storage{}
	_ rest.SingularNameProvider = &storage{}
)

func (s *storage) New() runtime.Object     { return &authenticationv1.SelfSubjectReview{} }
func (s *storage) Destroy()                {}
func (s *storage) NamespaceScoped() bool   { return false }
func (s *storage) GetSingularName() string { return "selfsubjectreview" }

// Create implements rest.Creater. Nothing is stored.
func (s *storage) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	if _, ok := obj.(*authenticationv1.SelfSubjectReview); !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a SelfSubjectReview: %T", obj))
	}
	if validate != nil {
		if err := validate(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	u, ok := request.UserFrom(ctx)
	if !ok {
		return nil, apierrors.NewBadRequest("no user present on request")
	}
	return &authenticationv1.SelfSubjectReview{
		ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(s.clock.Now())},
		Status:     authenticationv1.SelfSubjectReviewStatus{UserInfo: tokenreview.UserInfo(u)},
	}, nil
}
