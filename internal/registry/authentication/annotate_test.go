package authentication_test

import (
	"context"
	"errors"
	"maps"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/authentication"
)

func TestWhatIsNotedAboutTheTokenIsInTheEventOfTheReview(t *testing.T) {
	check := func(ctx context.Context, token string) (*authenticator.Response, bool, error) {
		audit.AddAuditAnnotation(ctx, "stale", "the token")
		audit.AddAuditAnnotation(ctx, "both", "the token")
		if token == "bad" {
			return nil, false, errors.New("no")
		}
		return &authenticator.Response{User: &user.DefaultInfo{Name: "a", Extra: map[string][]string{user.CredentialIDKey: {"JTI=7"}}}}, true, nil
	}
	for token, want := range map[string]map[string]string{
		"good": {"stale": "the token", "both": "the caller", authentication.ReviewedAnnotation: "JTI=7"},
		"bad":  {"stale": "the token", "both": "the caller"},
	} {
		ctx := audit.WithAuditContext(context.Background())
		audit.AddAuditAnnotation(ctx, "both", "the caller")
		s := authentication.TokenReview(chain(check), func() []string { return nil }).Storages()["tokenreviews"].(rest.Creater)
		review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}
		if _, err := s.Create(ctx, review, nil, &metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := audit.AuditContextFrom(ctx).GetEventAnnotations(); !maps.Equal(got, want) {
			t.Errorf("%s: noted %v, want %v", token, got, want)
		}
	}
}
