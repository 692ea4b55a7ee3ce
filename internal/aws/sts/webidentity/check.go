package webidentity

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sts/explain"
	"laterna.dev/laterna/internal/clock"
)

// anIssuer is wanted of tokens that are for no account.
const anIssuer = "an issuer of the cluster itself"

// allowance is how far the clocks of issuers may be from ours, in seconds.
const allowance = 300

// Providers are whom accounts trust.
type Providers interface {
	// Provider looks up by the issuer's URL without https://, in its spelling.
	Provider(ctx context.Context, account, issuer string) (iam.Provider, error)
	Providers(ctx context.Context, account string) ([]iam.Provider, error)
}

// Config is what a checker is made from. Every field is required.
type Config struct {
	Providers Providers
	Network   Network
	// Clock is the time of tokens.
	Clock clock.API
	// Faults are asked before an issuer is.
	Faults func() Faults
}

// Checker checks tokens. It is safe for concurrent use; between calls nothing runs.
type Checker struct {
	config Config
	source *Source
}

// New returns a checker that knows no keys yet.
func New(c Config) *Checker {
	return &Checker{c, newSource(c.Network, c.Clock, c.Faults)}
}

// Identity is what a token says of its bearer.
type Identity struct {
	Provider iam.Provider
	// Issuer is the claim iss without https://, the beginning of condition keys.
	Issuer, Subject, Audience string
	// Methods are the values of the claim amr.
	Methods []string
	// Keys are further claims that are condition keys, but not of the session.
	Keys map[string]string
	// Tags, Transitive and SourceIdentity are for the session.
	Tags           map[string]string
	Transitive     []string
	SourceIdentity string
	// Expires is when the token says that it ends; Check allows five minutes more.
	Expires time.Time
	// RoleNamed tells that the token names the role itself.
	RoleNamed bool
}

// Question is what a token is asked.
type Question struct {
	Token string
	// Role is the ARN of the role that its bearer is to become, Account that of the role;
	// both are empty where that is not known yet, and providers are of no account.
	Role, Account string
	// Thorough looks at the signature also where the token is refused anyway.
	Thorough bool
}

// Check says whom a token is of that is to become a role, and notes what it looks at. With
// an error there may be an identity, too, for explanations alone: nobody has vouched for it.
// An error that is a *query.Error is AWS's answer.
func (c *Checker) Check(ctx context.Context, q Question, r *explain.Record) (*Identity, error) {
	t, refused := parse(q.Token)
	if refused != nil {
		r.Add(explain.Check{Name: "token", Verdict: explain.No, Want: "three parts of base64url, a header without crit, a JSON object", Why: "it is not a JWT that AWS reads"})
		return nil, refused
	}
	refused = t.readClaims()
	if r != nil {
		r.Token = t.told()
	}
	if refused != nil {
		r.Add(explain.Check{Name: "claims", Verdict: explain.No, Got: strings.Join(slices.Sorted(maps.Keys(t.claims)), ", "), Want: strings.Join(required[:], ", "), Why: refused.Message,
			Hints: claimHints(t)})
		return nil, refused
	}
	r.Add(explain.Check{Name: "claims", Verdict: explain.Yes})
	p, err := c.provider(ctx, t, q.Account, r)
	if err != nil {
		return nil, err
	}
	id := &Identity{Provider: p, Issuer: p.URL, Subject: t.subject, Audience: t.audience(), Methods: t.methods(), Keys: t.keys(p.URL), Expires: time.Unix(t.expires, 0)}
	f := &faults{}
	f.add(t.checkTimes(c.config.Clock.Now(), r))
	f.add(t.checkAudience(&p, r))
	if f.first == nil || q.Thorough {
		if err := c.checkSignature(ctx, t, &p, r); f.first == nil {
			f.first = err
		}
	} else {
		r.Add(explain.Check{Name: "signature", Verdict: explain.Skipped, Why: "the issuer is not asked for keys for a token that is refused anyway"})
	}
	f.add(t.checkSaid(id, q.Role, r))
	return id, f.first
}

// faults keeps the first of them: what is looked at after that is for explanations.
type faults struct{ first error }

func (f *faults) add(refused *query.Error) {
	if refused != nil && f.first == nil {
		f.first = refused
	}
}

// provider finds the provider that an account has registered for the token's issuer.
func (c *Checker) provider(ctx context.Context, t *token, account string, r *explain.Record) (iam.Provider, error) {
	check := explain.Check{Name: "provider", Got: t.issuer, Want: "an OpenID Connect provider of account " + account + " with exactly this URL"}
	if account == "" {
		check.Want = anIssuer
	}
	issuer, https := strings.CutPrefix(t.issuer, "https://")
	if https && issuer != "" {
		p, err := c.config.Providers.Provider(ctx, account, issuer)
		if err == nil {
			if account != "" {
				check.Want = p.ARN()
			}
			r.Said(true, check)
			return p, nil
		}
		if !errors.Is(err, iam.ErrNotFound) {
			return iam.Provider{}, fmt.Errorf("looking up a provider: %w", err)
		}
	}
	if r != nil {
		check.Why = "there is no such provider"
		check.Hints = c.providerHints(ctx, t.issuer, account)
		r.Said(false, check)
	}
	return iam.Provider{}, noProvider(t.issuer)
}

// checkTimes says whether the token counts now.
func (t *token) checkTimes(now time.Time, r *explain.Record) *query.Error {
	n := now.Unix()
	at := func(s int64) string { return time.Unix(s, 0).UTC().Format(time.RFC3339) }
	check := explain.Check{Name: "times", Got: "issued " + at(t.issued) + ", expires " + at(t.expires), Want: "now, which is " + at(n) + ", give or take five minutes"}
	var refused *query.Error
	switch {
	case n-allowance >= t.expires:
		check.Why = "the token has expired"
		check.Hints = []string{"the client sends an old token: it must read its token file again for every call"}
		refused = expired(n-allowance, t.expires)
	case t.issued > n+allowance:
		check.Why = "the token is issued in the future: the clocks differ"
		refused = invalid("Token issued in the future: %d", t.issued)
	case t.hasNotBefore && n+allowance < t.notBefore:
		check.Why = "the token does not count before " + at(t.notBefore)
		refused = invalid("Token not yet valid: current date/time %d must be after or equal to the not-before date/time %d", n+allowance, t.notBefore)
	}
	r.Said(refused == nil, check)
	return refused
}

// checkAudience says whether the token is for a client id of the provider.
func (t *token) checkAudience(p *iam.Provider, r *explain.Record) *query.Error {
	audience := t.audience()
	check := explain.Check{Name: "audience", Got: audience, Want: "one of the provider's client ids: " + strings.Join(p.ClientIDs, ", ")}
	if t.party != nil {
		check.Got += " (the claim azp, which counts before aud " + strings.Join(t.audiences, ", ") + ")"
	}
	ok := audience != "" && slices.Contains(p.ClientIDs, audience)
	switch {
	case p.Account == "":
		check.Want = strings.Join(p.ClientIDs, ", ")
	case !ok:
		check.Why = "AWS answers the same text for a wrong audience as for a wrong signature"
		check.Hints = audienceHints(audience, p)
	}
	if r.Said(ok, check); ok {
		return nil
	}
	return notValidated()
}

// checkSignature says whether the issuer signed the token.
func (c *Checker) checkSignature(ctx context.Context, t *token, p *iam.Provider, r *explain.Record) error {
	f, err := c.source.find(ctx, p, t)
	if err != nil {
		check := explain.Check{Name: "keys", Verdict: explain.No, Got: err.Error(), Want: "the keys of https://" + p.URL + " within five seconds, over TLS"}
		refused := noKey()
		switch {
		case ctx.Err() != nil:
			return err
		case errors.Is(err, errUntrusted):
			refused = notTrusted()
			check.Hints = []string{"register the certificate's thumbprint with the provider (aws iam update-open-id-connect-provider-thumbprint), or let the host show a certificate of a public authority"}
		case errors.Is(err, errUnreachable):
			refused = unreachable()
			check.Hints = []string{"nobody answers at the issuer's host: look at its address from this server"}
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errSlow):
			check.Why = "the issuer took longer than five seconds, after which AWS gives up; it has no other text for that"
			check.Hints = []string{"ask for its discovery document and keys from this server, and look how long they take"}
		}
		r.Add(check)
		return refused
	}
	check := explain.Check{Name: "key", Got: fmt.Sprintf("key %q, algorithm %s", t.keyID, t.algorithm),
		Want: "one of the issuer's keys: " + strings.Join(f.names, ", "), Why: "asked for " + f.age.Truncate(time.Second).String() + " ago"}
	if !f.ok {
		check.Hints = keyHints(t, f)
		r.Said(false, check)
		return noKey()
	}
	r.Said(true, check)
	check = explain.Check{Name: "signature"}
	ok := !f.key.mayNot && t.signedBy(f.key.public)
	if f.key.mayNot {
		check.Why = "the key has a member key_ops, which AWS refuses whatever it says"
	}
	if r.Said(ok, check); !ok {
		return notValidated()
	}
	r.Genuine()
	return nil
}

// checkSaid reads what the token says of the session and the role.
func (t *token) checkSaid(id *Identity, roleARN string, r *explain.Record) *query.Error {
	f := &faults{}
	var refused *query.Error
	if id.Tags, id.Transitive, refused = t.readTags(); refused != nil || len(id.Tags) > 0 {
		r.Said(refused == nil, explain.Check{Name: "tags", Got: strings.Join(sorted(id.Tags), ", ")})
		f.add(refused)
	}
	if id.SourceIdentity, refused = t.readSourceIdentity(); refused != nil || id.SourceIdentity != "" {
		r.Said(refused == nil, explain.Check{Name: "source identity", Got: id.SourceIdentity})
		f.add(refused)
	}
	roles, there := t.roles()
	if !there {
		return f.refused()
	}
	id.RoleNamed = slices.Contains(roles, roleARN)
	if !r.Said(id.RoleNamed, explain.Check{Name: "roles", Got: strings.Join(roles, ", "), Want: roleARN, Why: "a claim " + rolesClaim + " names all roles that the token is good for"}) {
		f.add(invalid("The target role ARN is not present in the roles claim of the identity token"))
	}
	return f.refused()
}

func (f *faults) refused() *query.Error {
	refused, _ := f.first.(*query.Error)
	return refused
}
