// Package token serves the subresource serviceaccounts/token, by which tokens
// are issued (TokenRequest, KEP-1205). Who may ask for which token is decided by
// authorization and admission; checking tokens is internal/tokens/review.
package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/token/jwt"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/clock"

	"laterna.dev/laterna/internal/registry/bounds"
)

// Issuer issues tokens. *issuer.Set is one.
type Issuer interface {
	// APIAudiences returns the audiences of tokens that ask for none.
	APIAudiences() []string
	// Mint issues a token that says claims; it fills in the issuer.
	Mint(ctx context.Context, claims boundtoken.Claims) (boundtoken.Token, error)
}

// Config is what the storage needs.
type Config struct {
	// ServiceAccounts, Pods, Secrets and Nodes are the stores of what tokens
	// are for and bound to.
	ServiceAccounts, Pods, Secrets, Nodes rest.Getter
	Issuer                                Issuer
	// Clock rules the life of tokens; it may be a test clock.
	Clock clock.API
	// MaxExpiration is the value of --service-account-max-token-expiration;
	// 0 means no limit. See ValidateMaxExpiration.
	MaxExpiration time.Duration
	// ExtendExpiration is the value of
	// --service-account-extend-token-expiration.
	ExtendExpiration bool
	// Issued, if given, is told of every token before it is handed out.
	Issued func(ctx context.Context, claims *boundtoken.Claims)
}

// NewStorage returns the storage of serviceaccounts/token.
func NewStorage(c Config) (map[string]rest.Storage, error) {
	if c.ServiceAccounts == nil || c.Pods == nil || c.Secrets == nil || c.Nodes == nil || c.Issuer == nil || c.Clock == nil {
		return nil, errors.New("storage of serviceaccounts/token: incomplete configuration")
	}
	if err := ValidateMaxExpiration(c.MaxExpiration); err != nil {
		return nil, err
	}
	return map[string]rest.Storage{"serviceaccounts/token": &storage{c}}, nil
}

type storage struct{ Config }

var (
	_ rest.NamedCreater                   = &storage{}
	_ rest.GroupVersionKindProvider       = &storage{}
	_ rest.SubresourceObjectMetaPreserver = &storage{}
)

var kind = authenticationv1.SchemeGroupVersion.WithKind("TokenRequest")

func (s *storage) New() runtime.Object { return &authenticationv1.TokenRequest{} }
func (s *storage) Destroy()            {}

// GroupVersionKind implements rest.GroupVersionKindProvider: the kind is not one
// of the group that the subresource is in.
func (s *storage) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind { return kind }

// PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate implements
// rest.SubresourceObjectMetaPreserver: the request's UID is a precondition.
func (s *storage) PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate() bool { return true }

// Create implements rest.NamedCreater: it issues a token for the service account
// of that name. Checks come in upstream's order.
func (s *storage) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	req, ok := obj.(*authenticationv1.TokenRequest)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a TokenRequest: %T", obj))
	}
	namespace, ok := request.NamespaceFrom(ctx)
	if !ok {
		return nil, apierrors.NewBadRequest("namespace is required")
	}
	if errs := checkNames(req, namespace, name); len(errs) > 0 {
		return nil, bounds.Invalid(kind.GroupKind(), name, errs)
	}
	account, err := get[*corev1.ServiceAccount](ctx, s.ServiceAccounts, name)
	if err != nil {
		return nil, err
	}
	if req.UID != "" && req.UID != account.UID {
		return nil, apierrors.NewConflict(schema.GroupResource{Group: kind.Group, Resource: kind.Kind}, name,
			fmt.Errorf("the UID in the token request (%s) does not match the UID of the service account (%s)", req.UID, account.UID))
	}
	now := s.Clock.Now()
	s.complete(req, account, now)
	if errs := Validate(req); len(errs) > 0 {
		return nil, bounds.Invalid(kind.GroupKind(), "", errs)
	}
	if validate != nil {
		if err := validate(ctx, req.DeepCopy()); err != nil {
			return nil, err
		}
	}
	grant := boundtoken.Grant{
		Namespace:      account.Namespace,
		ServiceAccount: boundtoken.Ref{Name: account.Name, UID: string(account.UID)},
		Audience:       req.Spec.Audiences,
	}
	if err := s.bind(ctx, &grant, req.Spec.BoundObjectRef); err != nil {
		return nil, err
	}
	s.limit(ctx, req)
	s.setLifetime(&grant, *req.Spec.ExpirationSeconds)
	return s.issue(ctx, req, grant, now)
}

func (s *storage) issue(ctx context.Context, req *authenticationv1.TokenRequest, grant boundtoken.Grant, now time.Time) (runtime.Object, error) {
	claims := boundtoken.NewClaims(grant, now)
	token, err := s.Issuer.Mint(ctx, claims)
	if boundtoken.ReasonOf(err) == boundtoken.TooLarge {
		return nil, bounds.Invalid(kind.GroupKind(), "", field.ErrorList{
			field.TooLong(field.NewPath("spec", "audiences"), nil, boundtoken.MaxSize)})
	}
	if err != nil {
		return nil, apierrors.NewInternalError(fmt.Errorf("failed to generate token: %v", err))
	}
	if s.Issued != nil {
		s.Issued(ctx, &claims)
	}
	out := req.DeepCopy()
	out.Status = authenticationv1.TokenRequestStatus{
		Token:               token.Reveal(),
		ExpirationTimestamp: metav1.NewTime(now.Add(seconds(*req.Spec.ExpirationSeconds))),
	}
	audit.AddAuditAnnotation(ctx, serviceaccount.IssuedCredentialIDAuditAnnotationKey, jwt.CredentialIDForJTI(claims.ID))
	return out, nil
}

// complete fills in what the request leaves open.
func (s *storage) complete(req *authenticationv1.TokenRequest, account *corev1.ServiceAccount, now time.Time) {
	if len(req.Spec.Audiences) == 0 {
		req.Spec.Audiences = append([]string(nil), s.Issuer.APIAudiences()...)
	}
	SetDefaults(req)
	req.Name, req.Namespace, req.UID = account.Name, account.Namespace, account.UID
	req.CreationTimestamp = metav1.NewTime(now)
	req.Status = authenticationv1.TokenRequestStatus{}
}

// limit shortens the request to the configured maximum and warns of it.
func (s *storage) limit(ctx context.Context, req *authenticationv1.TokenRequest) {
	most := int64(s.MaxExpiration / time.Second)
	if most <= 0 || *req.Spec.ExpirationSeconds <= most {
		return
	}
	warning.AddWarning(ctx, "", fmt.Sprintf("requested expiration of %d seconds shortened to %d seconds", *req.Spec.ExpirationSeconds, most))
	req.Spec.ExpirationSeconds = &most
}

const (
	// injectedSeconds is the life that ServiceAccount admission asks for, by
	// which tokens for clients of the API server are recognised.
	injectedSeconds = 60*60 + 7
	// extendedSeconds is the life that such tokens get, so that clients which
	// never read the file again go on working while they are being found.
	extendedSeconds = 365 * 24 * 60 * 60
)

// setLifetime sets how long the token lives: as asked, except for injected
// tokens of pods, which are extended and say when they should be replaced.
func (s *storage) setLifetime(g *boundtoken.Grant, asked int64) {
	g.Lifetime = seconds(asked)
	if s.ExtendExpiration && g.Pod != nil && asked == injectedSeconds && subset(g.Audience, s.Issuer.APIAudiences()) {
		g.Lifetime, g.WarnAfter = seconds(extendedSeconds), seconds(asked)
	}
}
