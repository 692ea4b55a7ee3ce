package authentication

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"

	"laterna.dev/laterna/internal/registry/resource"
)

// TokenReview asks auth, the server's own authentication, about somebody's token; what
// makes a service account token good is decided in internal/tokens/review. audiences
// returns those of the API server now, for reviews that ask for none. A bad token is not
// an error but a status.
func TokenReview(auth authenticator.Request, audiences func() []string) resource.Question[*authenticationv1.TokenReview] {
	type review = authenticationv1.TokenReview
	return resource.Question[*review]{
		Plural:   "tokenreviews",
		Singular: "tokenreview",
		New:      func() *review { return &review{} },
		Check: func(ctx context.Context, r *review) error {
			if ns := request.NamespaceValue(ctx); ns != "" {
				return apierrors.NewBadRequest(fmt.Sprintf("namespace is not allowed on this type: %v", ns))
			}
			if r.Spec.Token == "" {
				return apierrors.NewBadRequest("token is required for TokenReview in authentication")
			}
			return nil
		},
		Answer: func(ctx context.Context, r *review) (*review, error) {
			wanted := r.Spec.Audiences
			if len(wanted) == 0 {
				wanted = audiences()
			}
			var err error
			r.Status, err = check(ctx, auth, r.Spec.Token, wanted)
			return r, err
		},
	}
}

// check authenticates a request that holds nothing but the token.
func check(ctx context.Context, auth authenticator.Request, token string, audiences []string) (authenticationv1.TokenReviewStatus, error) {
	if !fitsHeader(token) {
		return authenticationv1.TokenReviewStatus{Error: "invalid bearer token"}, nil
	}
	inner := audit.WithAuditContext(bare{ctx})
	if len(audiences) > 0 {
		inner = authenticator.WithAudiences(inner, audiences)
	}
	req := (&http.Request{Header: http.Header{"Authorization": {"Bearer " + token}}}).WithContext(inner)
	resp, ok, err := auth.AuthenticateRequest(req)
	annotate(ctx, inner, resp)
	status := authenticationv1.TokenReviewStatus{}
	if err != nil {
		status.Error = err.Error()
	}
	if !ok || resp == nil || resp.User == nil || resp.User.GetName() == user.Anonymous {
		return status, nil
	}
	both := authenticator.Audiences(audiences).Intersect(resp.Audiences)
	if len(audiences) > 0 && len(both) == 0 {
		return status, apierrors.NewInternalError(errors.New("error validating audiences"))
	}
	status.Authenticated = true
	status.Audiences = slices.Clone(resp.Audiences)
	status.User = userInfo(resp.User)
	return status, nil
}

// bare is a context that ends with another one but knows nothing of its request:
// what vouches for the caller must not vouch for the token.
type bare struct{ context.Context }

// Value implements context.Context.
func (bare) Value(any) any { return nil }

// fitsHeader tells whether a token can be sent as a bearer token (RFC 6750,
// section 2.1: printable ASCII without spaces). The rest would be cut or skipped
// by the parser of the header, and must not be taken for something else.
func fitsHeader(token string) bool {
	for i := range len(token) {
		if token[i] <= ' ' || token[i] >= 0x7f {
			return false
		}
	}
	return true
}

// userInfo returns u in its form in the API.
func userInfo(u user.Info) authenticationv1.UserInfo {
	out := authenticationv1.UserInfo{
		Username: u.GetName(),
		UID:      u.GetUID(),
		Groups:   u.GetGroups(),
		Extra:    map[string]authenticationv1.ExtraValue{},
	}
	for k, v := range u.GetExtra() {
		out.Extra[k] = v
	}
	return out
}
