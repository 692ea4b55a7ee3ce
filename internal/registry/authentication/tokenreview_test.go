package authentication_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/authentication"
)

// chain is a server's authentication: the loopback token, tokens by the function
// and, without credentials, anonymous.
func chain(check authenticator.TokenFunc) authenticator.Request {
	loopback := authenticator.TokenFunc(func(_ context.Context, token string) (*authenticator.Response, bool, error) {
		return nil, false, nil
	})
	return union.NewFailOnError(union.New(bearertoken.New(loopback), bearertoken.New(check)), anonymous.NewAuthenticator(nil))
}

// pods accepts the token "good" for the audiences a and b.
func pods(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	if token != "good" {
		return nil, false, errors.New("service account token has been invalidated")
	}
	want, _ := authenticator.AudiencesFrom(ctx)
	both := authenticator.Audiences{"a", "b"}.Intersect(want)
	if len(both) == 0 {
		return nil, false, errors.New("token audiences are invalid")
	}
	return &authenticator.Response{Audiences: both, User: &user.DefaultInfo{
		Name: "system:serviceaccount:ns:sa", UID: "1", Groups: []string{"g"}, Extra: map[string][]string{"k": {"v"}}}}, true, nil
}

func review(auth authenticator.Request, token string, audiences ...string) (*authenticationv1.TokenReview, error) {
	s := authentication.TokenReview(auth, only("a", "api")).Storages()["tokenreviews"].(rest.Creater)
	obj, err := s.Create(context.Background(), &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences}}, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return obj.(*authenticationv1.TokenReview), nil
}

func TestGoodToken(t *testing.T) {
	got, err := review(chain(pods), "good", "x", "b", "a")
	if err != nil {
		t.Fatal(err)
	}
	s := got.Status
	if !s.Authenticated || s.Error != "" || !slices.Equal(s.Audiences, []string{"b", "a"}) || got.Spec.Token != "good" {
		t.Errorf("%+v", got)
	}
	if u := s.User; u.Username != "system:serviceaccount:ns:sa" || u.UID != "1" || !slices.Equal(u.Groups, []string{"g"}) || !slices.Equal(u.Extra["k"], []string{"v"}) {
		t.Errorf("user %+v", u)
	}
	if got, err := review(chain(pods), "good"); err != nil || !slices.Equal(got.Status.Audiences, []string{"a"}) {
		t.Errorf("without audiences: %+v, %v", got, err)
	}
}

func TestBadTokens(t *testing.T) {
	for name, tc := range map[string]struct{ token, want string }{
		"refused":         {"bad", "[invalid bearer token, service account token has been invalidated]"},
		"a space":         {" ", "invalid bearer token"},
		"good and spaces": {"good more", "invalid bearer token"},
		"spaces and good": {"  good", "invalid bearer token"},
		"line break":      {"good\r\nX-Remote-User: admin", "invalid bearer token"},
		"not ASCII":       {"göod", "invalid bearer token"},
		"NUL":             {"good\x00", "invalid bearer token"},
	} {
		got, err := review(chain(pods), tc.token, "a")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s := got.Status; s.Authenticated || s.Error != tc.want || s.User.Username != "" || s.Audiences != nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestBadReviews(t *testing.T) {
	if _, err := review(chain(pods), ""); !apierrors.IsBadRequest(err) || err.Error() != "token is required for TokenReview in authentication" {
		t.Errorf("no token: %v", err)
	}
	s := authentication.TokenReview(chain(pods), only()).Storages()["tokenreviews"].(rest.Creater)
	_, err := s.Create(request.WithNamespace(context.Background(), "ns"), &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: "good"}}, nil, nil)
	if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "namespace is not allowed on this type: ns") {
		t.Errorf("in a namespace: %v", err)
	}
	if _, err := s.Create(context.Background(), &metav1.Status{}, nil, nil); !apierrors.IsBadRequest(err) {
		t.Errorf("another kind: %v", err)
	}
	refusal := errors.New("no")
	_, err = s.Create(context.Background(), &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: "good"}},
		func(context.Context, runtime.Object) error { return refusal }, nil)
	if err != refusal {
		t.Errorf("admission: %v", err)
	}
}

// What the server knows of the caller, who may be the server itself, says nothing
// about the token.
func TestCallersCredentialsAreNotTheTokens(t *testing.T) {
	type trusted struct{}
	loopback := authenticator.RequestFunc(func(r *http.Request) (*authenticator.Response, bool, error) {
		_, ok := r.Context().Value(trusted{}).(bool)
		return &authenticator.Response{User: &user.DefaultInfo{Name: "system:apiserver"}, Audiences: authenticator.Audiences{"a"}}, ok, nil
	})
	s := authentication.TokenReview(union.New(loopback, chain(pods)), only("a")).Storages()["tokenreviews"].(rest.Creater)
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), trusted{}, true))
	defer cancel()
	obj, err := s.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: "bad"}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := obj.(*authenticationv1.TokenReview).Status; got.Authenticated {
		t.Errorf("a bad token is %s", got.User.Username)
	}
}

// An authenticator that knows nothing of audiences must not vouch for one, and
// anonymous is nobody.
func TestCarelessAuthenticators(t *testing.T) {
	deaf := authenticator.TokenFunc(func(context.Context, string) (*authenticator.Response, bool, error) {
		return &authenticator.Response{User: &user.DefaultInfo{Name: "u"}}, true, nil
	})
	if _, err := review(chain(deaf), "good", "a"); !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), "error validating audiences") {
		t.Errorf("no audiences: %v", err)
	}
	nobody := authenticator.RequestFunc(func(r *http.Request) (*authenticator.Response, bool, error) {
		return anonymous.NewAuthenticator(nil).AuthenticateRequest(r)
	})
	if got, err := review(nobody, "good", "a"); err != nil || got.Status.Authenticated {
		t.Errorf("anonymous: %+v, %v", got, err)
	}
}

// only are audiences that do not change.
func only(audiences ...string) func() []string {
	return func() []string { return audiences }
}
