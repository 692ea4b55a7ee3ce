// Package tokenreview serves authentication.k8s.io/v1 TokenReview: it asks the
// server's own authentication about somebody's token. What makes a service
// account token good is decided in internal/tokens/review.
package tokenreview

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// NewStorage returns the storage of tokenreviews. Auth is what authenticates the
// server's requests; audiences returns those of the API server now, for reviews that ask
// for none.
func NewStorage(auth authenticator.Request, audiences func() []string) map[string]rest.Storage {
	return map[string]rest.Storage{"tokenreviews": &storage{auth, audiences}}
}

type storage struct {
	auth      authenticator.Request
	audiences func() []string
}

var (
	_ rest.Creater              = &storage{}
	_ rest.Scoper               = &storage{}
	_ rest.SingularNameProvider = &storage{}
)

func (s *storage) New() runtime.Object     { return &authenticationv1.TokenReview{} }
func (s *storage) Destroy()                {}
func (s *storage) NamespaceScoped() bool   { return false }
func (s *storage) GetSingularName() string { return "tokenreview" }

// Create implements rest.Creater. Nothing is stored; the object comes back with
// its status filled in. A bad token is not an error but a status.
func (s *storage) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	review, ok := obj.(*authenticationv1.TokenReview)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a TokenReview: %T", obj))
	}
	if ns := request.NamespaceValue(ctx); ns != "" {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("namespace is not allowed on this type: %v", ns))
	}
	if review.Spec.Token == "" {
		return nil, apierrors.NewBadRequest("token is required for TokenReview in authentication")
	}
	if validate != nil {
		if err := validate(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	audiences := review.Spec.Audiences
	if len(audiences) == 0 {
		audiences = s.audiences()
	}
	status, err := s.review(ctx, review.Spec.Token, audiences)
	if err != nil {
		return nil, err
	}
	review.Status = status
	return review, nil
}

// review authenticates a request that holds nothing but the token.
func (s *storage) review(ctx context.Context, token string, audiences []string) (authenticationv1.TokenReviewStatus, error) {
	if !fitsHeader(token) {
		return authenticationv1.TokenReviewStatus{Error: "invalid bearer token"}, nil
	}
	inner := audit.WithAuditContext(bare{ctx})
	if len(audiences) > 0 {
		inner = authenticator.WithAudiences(inner, audiences)
	}
	req := (&http.Request{Header: http.Header{"Authorization": {"Bearer " + token}}}).WithContext(inner)
	resp, ok, err := s.auth.AuthenticateRequest(req)
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
	status.User = UserInfo(resp.User)
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

// UserInfo returns u in its form in the API.
func UserInfo(u user.Info) authenticationv1.UserInfo {
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
