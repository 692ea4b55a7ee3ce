package authentication_test

import (
	"context"
	"slices"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/authentication"
)

func TestCallerIsToldWhoItIs(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	s := authentication.SelfSubjectReview(clock.WallOf(clocktesting.NewFakeClock(now))).Storages()["selfsubjectreviews"].(rest.Creater)
	in := &authenticationv1.SelfSubjectReview{Status: authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{Username: "admin"}}}
	ctx := request.WithUser(context.Background(), &user.DefaultInfo{Name: "jane", UID: "7", Groups: []string{"g"}, Extra: map[string][]string{"k": {"v"}}})
	obj, err := s.Create(ctx, in, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out := obj.(*authenticationv1.SelfSubjectReview)
	u := out.Status.UserInfo
	if u.Username != "jane" || u.UID != "7" || !slices.Equal(u.Groups, []string{"g"}) || !slices.Equal(u.Extra["k"], []string{"v"}) || !out.CreationTimestamp.Time.Equal(now) {
		t.Errorf("%+v", out)
	}
	if _, err := s.Create(context.Background(), in, nil, nil); !apierrors.IsBadRequest(err) {
		t.Errorf("without a user: %v", err)
	}
	if _, err := s.Create(ctx, &metav1.Status{}, nil, nil); !apierrors.IsBadRequest(err) {
		t.Errorf("another kind: %v", err)
	}
}
