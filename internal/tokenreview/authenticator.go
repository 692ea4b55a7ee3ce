package tokenreview

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/token/jwt"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
)

// Issuer says which tokens are ours. *issuer.Set is one.
type Issuer interface {
	// Accepted returns the accepted values of the claim iss.
	Accepted() []string
	// APIAudiences returns the audiences of this API server.
	APIAudiences() []string
	// WasTrusted returns until when an issuer's tokens were accepted, for those
	// that are not any more.
	WasTrusted(issuer string) (until time.Time, ok bool)
}

// KeySource has the keys that tokens are signed with. *keys.Ring is one.
type KeySource interface {
	// Keys returns the accepted keys; the same set until they change.
	Keys(ctx context.Context) (*jwks.Set, error)
}

// Config is what an Authenticator needs.
type Config struct {
	Issuer Issuer
	Keys   KeySource
	// ConfirmIssuer, if given, is called before a token is refused for its issuer, and
	// may bring Issuer up to date; it bounds how often it works.
	ConfirmIssuer func(ctx context.Context)
	// Objects tells whether what tokens are bound to exists.
	Objects Objects
	// Clock rules the life of tokens; it may be a test clock.
	Clock clock.PassiveClock
	// Wall is the time that deletion timestamps are in.
	Wall clock.PassiveClock
}

// verifiedSize is the number of tokens whose signature is remembered, about
// 1 KiB each.
const verifiedSize = 4096

// Authenticator checks service account tokens. It is safe for concurrent use.
type Authenticator struct {
	config       Config
	verified     *lru.Cache // digest of a token to verified
	stale, valid *metrics.Counter
}

var _ authenticator.Token = (*Authenticator)(nil)

// verified is a token whose issuer and signature are known to be good, as long
// as the keys are those of set.
type verified struct {
	set    *jwks.Set
	claims *boundtoken.Claims
}

// New returns an authenticator.
func New(c Config) (*Authenticator, error) {
	if c.Issuer == nil || c.Keys == nil || c.Objects == nil || c.Clock == nil || c.Wall == nil {
		return nil, errors.New("token authenticator: incomplete configuration")
	}
	return &Authenticator{
		config:   c,
		verified: lru.New(verifiedSize),
		stale:    counter("stale_tokens_total", "Cumulative stale projected service account tokens used"),
		valid:    counter("valid_tokens_total", "Cumulative valid projected service account tokens used"),
	}, nil
}

func counter(name, help string) *metrics.Counter {
	return metrics.NewCounter(&metrics.CounterOpts{
		Subsystem:      "serviceaccount",
		Name:           name,
		Help:           help,
		StabilityLevel: metrics.ALPHA,
	})
}

// Metrics returns the counters of extended tokens, to be registered by the
// caller: serviceaccount_stale_tokens_total for those past their claim warnafter
// and serviceaccount_valid_tokens_total for the others.
func (a *Authenticator) Metrics() []metrics.Registerable {
	return []metrics.Registerable{a.stale, a.valid}
}

// AuthenticateToken implements authenticator.Token. The audiences asked for are
// those in ctx, else the API server's. A text that is not a JWT is left to other
// authenticators; a JWT that is refused, also one of a foreign issuer, gives an
// error with the reason.
func (a *Authenticator) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	if !boundtoken.LooksLike(token) {
		return nil, false, nil
	}
	claims, err := a.verify(ctx, token)
	if err != nil {
		return nil, false, err
	}
	want, ok := authenticator.AudiencesFrom(ctx)
	if !ok {
		want = a.config.Issuer.APIAudiences()
	}
	audiences, err := claims.CheckAudience(want)
	if err != nil {
		return nil, false, err
	}
	now := a.config.Clock.Now()
	if err := claims.CheckTime(now); err != nil {
		return nil, false, err
	}
	if err := checkLiveness(ctx, a.config.Objects, claims, a.config.Wall.Now()); err != nil {
		return nil, false, err
	}
	a.noteAge(ctx, claims, now)
	return &authenticator.Response{User: userOf(claims), Audiences: audiences}, true, nil
}

// verify returns the claims of a token from an accepted issuer that an accepted
// key signed. They must not be changed.
func (a *Authenticator) verify(ctx context.Context, token string) (*boundtoken.Claims, error) {
	set, err := a.config.Keys.Keys(ctx)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(token))
	if known, ok := a.verified.Get(digest); ok {
		v := known.(verified)
		if v.set == set && accepts(a.config.Issuer, v.claims) == nil {
			return v.claims, nil
		}
	}
	parsed, err := boundtoken.Parse(token)
	if err != nil {
		return nil, err
	}
	claims := parsed.UnverifiedClaims()
	if err := a.checkIssuer(ctx, &claims); err != nil {
		return nil, err
	}
	if _, err := parsed.VerifySignature(set); err != nil {
		return nil, err
	}
	if err := claims.Check(); err != nil {
		return nil, err
	}
	a.verified.Add(digest, verified{set, &claims})
	return &claims, nil
}

// checkIssuer refuses the token of a foreign issuer.
func (a *Authenticator) checkIssuer(ctx context.Context, c *boundtoken.Claims) error {
	err := accepts(a.config.Issuer, c)
	if err == nil || a.config.ConfirmIssuer == nil {
		return err
	}
	a.config.ConfirmIssuer(ctx)
	return accepts(a.config.Issuer, c)
}

func accepts(i Issuer, c *boundtoken.Claims) error {
	err := c.CheckIssuer(i.Accepted())
	if until, ok := i.WasTrusted(c.Issuer); err != nil && ok {
		return fmt.Errorf("%w: it was trusted until %s", err, until.UTC().Format(time.RFC3339))
	}
	return err
}

// noteAge counts tokens of extended life and marks the use of one that should
// have been replaced.
func (a *Authenticator) noteAge(ctx context.Context, c *boundtoken.Claims, now time.Time) {
	warn := c.Kubernetes.WarnAfter
	if warn == 0 {
		return
	}
	if !now.After(warn.Time()) {
		a.valid.WithContext(ctx).Inc()
		return
	}
	audit.AddAuditAnnotation(ctx, "authentication.k8s.io/stale-token",
		fmt.Sprintf("subject: %s, seconds after warning threshold: %d", c.Subject, now.Unix()-int64(warn)))
	a.stale.WithContext(ctx).Inc()
}

// userOf returns who a token stands for.
func userOf(c *boundtoken.Claims) user.Info {
	k := &c.Kubernetes
	info := serviceaccount.ServiceAccountInfo{
		Namespace:    k.Namespace,
		Name:         k.ServiceAccount.Name,
		UID:          k.ServiceAccount.UID,
		CredentialID: jwt.CredentialIDForJTI(c.ID),
	}
	if k.Pod != nil {
		info.PodName, info.PodUID = k.Pod.Name, k.Pod.UID
	}
	if k.Node != nil {
		info.NodeName, info.NodeUID = k.Node.Name, k.Node.UID
	}
	return info.UserInfo()
}
