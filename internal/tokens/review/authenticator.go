package review

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/token/jwt"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/lru"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/clock"
)

// Issuer says which tokens are ours. *issuer.Set is one.
type Issuer interface {
	// Accepted returns the accepted values of the claim iss.
	Accepted() []boundtoken.Issuer
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
	// ConfirmIssuer, if given, is called before tokens are refused for their issuer, at
	// most 20 times a second, and may bring Issuer up to date. Tokens wait for it.
	ConfirmIssuer func(ctx context.Context)
	// ConfirmKeys, if given, is called before tokens are refused for their key, at most
	// 20 times a second, and may bring Keys up to date. Tokens wait for it.
	ConfirmKeys func(ctx context.Context)
	// Objects tells whether what tokens are bound to exists.
	Objects Objects
	// Clock rules the life of tokens; it may be a test clock.
	Clock clock.API
	// Wall is the time that deletion timestamps are in.
	Wall clock.Wall
	// Rotations, if given, knows which tokens of pods were replaced.
	Rotations *Rotations
	// Observer, if given, is told what is noticed.
	Observer Observer
}

// verifiedSize is the number of tokens whose signature is remembered, about
// 1 KiB each.
const verifiedSize = 4096

// Authenticator checks service account tokens. It is safe for concurrent use.
type Authenticator struct {
	config   Config
	verified *lru.Cache // digest of a token to verified
	counters *counters
	// issuers and keys are the confirmations of the two.
	issuers, keys confirmation
}

var _ authenticator.Token = (*Authenticator)(nil)

// verified is a token whose issuer and signature are known to be good, as long
// as its key is accepted: it was one of set.
type verified struct {
	set    *jwks.Set
	key    boundtoken.Key
	claims *boundtoken.Claims
	// legacy is set instead of claims for a token that says to be kept in a Secret.
	legacy *boundtoken.LegacyClaims
}

// holds tells whether the signature is good for these keys, too. That a key came or
// that another one went leaves it as it is.
func (v *verified) holds(keys *jwks.Set) bool { return v.set == keys || keys.Contains(v.key) }

// New returns an authenticator.
func New(c Config) (*Authenticator, error) {
	if c.Issuer == nil || c.Keys == nil || c.Objects == nil || c.Clock == nil || c.Wall == nil {
		return nil, errors.New("token authenticator: incomplete configuration")
	}
	return &Authenticator{
		config:   c,
		verified: lru.New(verifiedSize),
		counters: newCounters(),
		issuers:  confirmation{clock: c.Wall, read: c.ConfirmIssuer},
		keys:     confirmation{clock: c.Wall, read: c.ConfirmKeys},
	}, nil
}

// Metrics returns what is counted, to be registered by the caller: of tokens of
// extended life serviceaccount_stale_tokens_total (past their claim warnafter) and
// serviceaccount_valid_tokens_total, of tokens kept in Secrets those of upstream, and
// laterna_stale_token_uses_total by service account.
func (a *Authenticator) Metrics() []metrics.Registerable { return a.counters.all() }

// AuthenticateToken implements authenticator.Token. The audiences asked for are
// those in ctx, else the API server's. A text that is not a JWT is left to other
// authenticators; a JWT that is refused, also one of a foreign issuer, gives an
// error with the reason.
func (a *Authenticator) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	if !boundtoken.LooksLike(token) {
		return nil, false, nil
	}
	known, err := a.verify(ctx, token)
	if err != nil {
		return nil, false, err
	}
	if known.legacy != nil {
		return a.authenticateLegacy(ctx, token, known.legacy)
	}
	claims := known.claims
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
func (a *Authenticator) verify(ctx context.Context, token string) (verified, error) {
	set, err := a.config.Keys.Keys(ctx)
	if err != nil {
		return verified{}, err
	}
	digest := sha256.Sum256([]byte(token))
	if known, ok := a.verified.Get(digest); ok {
		v := known.(verified)
		if v.holds(set) && (v.legacy != nil || accepts(a.config.Issuer, v.claims) == nil) {
			if v.set != set {
				v.set = set
				a.verified.Add(digest, v)
			}
			return v, nil
		}
	}
	parsed, err := boundtoken.Parse(token)
	if err != nil {
		return verified{}, err
	}
	v, err := a.verifyParsed(ctx, parsed, set)
	if err == nil {
		a.verified.Add(digest, v)
	}
	return v, err
}

// verifyParsed does the part of verify that takes long. The claims of a token that is
// kept in a Secret are checked later, as upstream.
func (a *Authenticator) verifyParsed(ctx context.Context, parsed *boundtoken.Parsed, set *jwks.Set) (v verified, err error) {
	if legacy, ok := parsed.UnverifiedLegacyClaims(); ok {
		v.legacy = &legacy
		v.key, v.set, err = a.verifySignature(ctx, parsed, set)
		return v, err
	}
	claims := parsed.UnverifiedClaims()
	v.claims = &claims
	if err := a.checkIssuer(ctx, &claims); err != nil {
		return v, err
	}
	if v.key, v.set, err = a.verifySignature(ctx, parsed, set); err != nil {
		return v, err
	}
	return v, claims.Check()
}

// verifySignature returns the accepted key that signed a token, and the set it is in:
// the one given or, if that does not have it, the one of now.
func (a *Authenticator) verifySignature(ctx context.Context, parsed *boundtoken.Parsed, set *jwks.Set) (boundtoken.Key, *jwks.Set, error) {
	key, err := parsed.VerifySignature(ctx, set)
	if boundtoken.ReasonOf(err) != boundtoken.UnknownKey {
		return key, set, err
	}
	a.keys.wait(ctx)
	if set, err = a.config.Keys.Keys(ctx); err != nil {
		return key, set, err
	}
	key, err = parsed.VerifySignature(ctx, set)
	return key, set, err
}

// checkIssuer refuses the token of a foreign issuer.
func (a *Authenticator) checkIssuer(ctx context.Context, c *boundtoken.Claims) error {
	err := accepts(a.config.Issuer, c)
	if err == nil {
		return nil
	}
	a.issuers.wait(ctx)
	return accepts(a.config.Issuer, c)
}

func accepts(i Issuer, c *boundtoken.Claims) error {
	err := c.CheckIssuer(i.Accepted())
	if until, ok := i.WasTrusted(c.Issuer); err != nil && ok {
		return fmt.Errorf("%w: it was trusted until %s", err, until.UTC().Format(time.RFC3339))
	}
	return err
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
