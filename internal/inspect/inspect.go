package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/discovery"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/plain"
	"laterna.dev/laterna/internal/tokens/issuer"
)

// Config is what a token is looked at with.
type Config struct {
	// Now is the time of the checks where no system tells another.
	Now time.Time
	// At, unless zero, is the time of the checks whatever a system says.
	At time.Time
	// Audiences are the recipient's names; empty leaves that check out.
	Audiences []string
	// System is asked about its own tokens; when it is nil NoSystem says why.
	System   Asked
	NoSystem string
	// Offline asks nobody at all.
	Offline bool
	// Elsewhere fetches the documents of issuers as a relying party does; nil asks
	// nobody but the system.
	Elsewhere Discoverer
}

// Asked is what a system is asked for. *System is one.
type Asked interface {
	Discoverer
	Listing(ctx context.Context) (Listing, error)
	KeySet(ctx context.Context) (raw []byte, set *jwks.Set, err error)
	Review(ctx context.Context, t Token, audiences []string) (Review, error)
}

// Inspect makes every check that can be made.
func Inspect(ctx context.Context, t Token, c Config) Report {
	if c.Offline {
		c.System, c.Elsewhere, c.NoSystem = nil, nil, errOffline.Error()
	}
	i := inspection{Config: c, token: t}
	i.meetSystem(ctx)
	r := Report{Time: i.time()}
	r.describe(t)
	form := formOf(t)
	r.Checks = append(r.Checks, form)
	if !t.Readable() {
		for _, name := range []string{"issuer", "signature", "discovery", "audience", "time", "liveness"} {
			r.Checks = append(r.Checks, Check{name, NotMade, "the token cannot be read"})
		}
	} else {
		r.Checks = append(r.Checks, i.checks(ctx, r.Time, form)...)
	}
	r.OK, r.Complete = len(r.With(Failed)) == 0, len(r.With(NotMade)) == 0
	return r
}

// inspection is one token with what was found out so far.
type inspection struct {
	Config
	token Token

	listing *Listing // nil when no system answers; then NoSystem is set
	known   issuer.Listed
	ours    bool // the system accepts the issuer
}

func (i *inspection) meetSystem(ctx context.Context) {
	if i.System == nil {
		return
	}
	l, err := i.System.Listing(ctx)
	if err != nil {
		i.NoSystem = err.Error()
		return
	}
	i.listing = &l
	if i.token.Readable() {
		i.known, i.ours = l.Find(i.token.Claims().Issuer)
		i.ours = i.ours && i.known.State != issuer.Ended
	}
}

func (i *inspection) time() time.Time {
	switch {
	case !i.At.IsZero():
		return i.At
	case i.listing != nil && !i.listing.Partial:
		return i.listing.Time
	}
	return i.Now
}

// checks returns the checks of a readable token in their order.
func (i *inspection) checks(ctx context.Context, now time.Time, form Check) []Check {
	documents, docErr := i.documents(ctx)
	signature := i.signature(ctx, documents, docErr)
	return []Check{
		i.issuer(now),
		signature,
		i.discovery(documents, docErr),
		audienceOf(i.token, i.Audiences, i.listing),
		timeOf(i.token, now),
		i.liveness(ctx, form, signature),
	}
}

// Why there are no documents when nobody was asked.
var (
	errNotAsked = errors.New("give --discover to fetch the issuer's public documents")
	errOffline  = errors.New("offline")
)

// documents fetches those of the token's issuer from where that is allowed.
func (i *inspection) documents(ctx context.Context) (*discovery.Documents, error) {
	name := i.token.Claims().Issuer
	switch {
	case i.Offline:
		return nil, errOffline
	case i.Elsewhere != nil:
		return Discover(ctx, i.Elsewhere, name)
	case i.ours && !i.listing.Partial && i.listing.JWKSURI != "":
		return nil, fmt.Errorf("%w: its keys are published at %s", errNotAsked, plain.Text(i.listing.JWKSURI))
	case i.ours && !i.listing.Partial:
		return Discover(ctx, i.System, name)
	}
	return nil, errNotAsked
}

// issuer tells whether the system accepts the token's issuer.
func (i *inspection) issuer(now time.Time) Check {
	c := Check{Name: "issuer", Result: Failed}
	name := i.token.Claims().Issuer
	_, legacy := i.token.Legacy()
	switch {
	case i.listing == nil:
		c.Result, c.Reason = NotMade, i.NoSystem
	case i.ours:
		c.Result, c.Reason = Passed, acceptance(i.known, now)
	case legacy:
		c.Result, c.Reason = NotMade, "a token that is kept in a Secret"
	case i.Elsewhere != nil:
		c.Result, c.Reason = NotMade, "not an issuer of this system: only the issuer's own documents can tell"
	case i.listing.Partial:
		c.Result, c.Reason = NotMade, fmt.Sprintf("the system issues as %s and does not tell what else it accepts", plain.Text(i.listing.Issuers[0].Issuer))
	case i.known.State == issuer.Ended:
		c.Reason = fmt.Sprintf("%s was accepted until %s, %s", plain.Text(name), Moment(*i.known.Until), Relative(*i.known.Until, now))
	default:
		c.Reason = fmt.Sprintf("%s is not accepted by this system, which issues as %s; --discover checks a token of another system",
			plain.Text(name), plain.Text(i.listing.Issuers[0].Issuer))
	}
	return c
}

func acceptance(known issuer.Listed, now time.Time) string {
	switch {
	case known.State == issuer.Active:
		return "the one that this system issues with"
	case known.Until == nil:
		return "accepted by this system, which issues with another one"
	}
	return fmt.Sprintf("a former one of this system, accepted until %s, %s", Moment(*known.Until), Relative(*known.Until, now))
}

// signature verifies with the keys of the system where the token is its own, and with
// those that the issuer publishes otherwise.
func (i *inspection) signature(ctx context.Context, d *discovery.Documents, docErr error) Check {
	c := Check{Name: "signature", Result: NotMade}
	_, legacy := i.token.Legacy()
	var set *jwks.Set
	from := "the system"
	switch {
	case i.ours, legacy && i.listing != nil:
		_, keys, err := i.System.KeySet(ctx)
		if err != nil {
			c.Reason = err.Error()
			return c
		}
		set = keys
	case d != nil:
		set, from = d.Keys, "the issuer"
	default:
		c.Reason = i.whyNoKeys(docErr)
		return c
	}
	key, err := i.token.parsed.VerifySignature(ctx, set)
	if err != nil {
		c.Result, c.Reason = Failed, plain.Text(err.Error())
		return c
	}
	c.Result, c.Reason = Passed, fmt.Sprintf("by a key of %s, %s", from, key.Algorithm)
	return c
}

func (i *inspection) whyNoKeys(docErr error) string {
	if i.listing == nil && errors.Is(docErr, errNotAsked) {
		return fmt.Sprintf("no keys: %s; %s", i.NoSystem, docErr)
	}
	return docErr.Error()
}

// discovery tells whether relying parties find the key.
func (i *inspection) discovery(d *discovery.Documents, err error) Check {
	c := Check{Name: "discovery", Result: Failed}
	id := i.token.Header().KeyID
	switch {
	case errors.Is(err, errNotAsked), errors.Is(err, errOffline):
		c.Result, c.Reason = NotMade, err.Error()
	case err != nil:
		c.Reason = err.Error()
		if _, undiscoverable := discoverable(i.token.Claims().Issuer); undiscoverable != nil {
			c.Result = NotMade
		}
	case len(d.Keys.Find(id)) == 0:
		c.Reason = fmt.Sprintf("%s has no key %s", plain.Text(d.KeySetURI), plain.Text(id))
	default:
		c.Result, c.Reason = Passed, fmt.Sprintf("%s leads to the key", plain.Text(d.URL))
		if i.Elsewhere == nil {
			c.Reason += ", as this system serves it"
		}
	}
	return c
}

// liveness asks the system whether what the token is bound to still exists. The token
// leaves this process only when the system's own keys have signed it.
func (i *inspection) liveness(ctx context.Context, form, signature Check) Check {
	c := Check{Name: "liveness", Result: NotMade}
	_, legacy := i.token.Legacy()
	switch {
	case i.listing == nil:
		c.Reason = i.NoSystem
	case !i.ours && !legacy:
		c.Reason = "the token is not sent to a system that does not accept its issuer"
	case form.Result != Passed:
		c.Reason = "the token is not complete"
	case signature.Result != Passed:
		c.Reason = "the token is not sent before its signature is known to be the system's"
	default:
		return i.review(ctx, c)
	}
	return c
}

func (i *inspection) review(ctx context.Context, c Check) Check {
	if timed := timeOf(i.token, i.systemTime()); timed.Result == Failed {
		c.Reason = "the system does not look further: " + timed.Reason
		return c
	}
	verdict, err := i.System.Review(ctx, i.token, slices.Clone(i.token.Claims().Audience))
	switch {
	case err != nil:
		c.Reason = err.Error()
	case !verdict.Accepted:
		c.Result, c.Reason = Failed, verdict.Why+boundTo(i.token.Claims().Kubernetes)
	default:
		c.Result, c.Reason = Passed, "the system accepts it as "+verdict.User
	}
	return c
}

// boundTo says what a refusal may be about.
func boundTo(b boundtoken.Bound) string {
	for _, one := range []struct {
		kind string
		ref  *boundtoken.Ref
	}{{"pod", b.Pod}, {"secret", b.Secret}, {"node", b.Node}} {
		if one.ref != nil {
			return fmt.Sprintf("; it is bound to %s %s", one.kind, plain.Text(one.ref.Name))
		}
	}
	return ""
}

func (i *inspection) systemTime() time.Time {
	if i.listing.Partial {
		return i.Now
	}
	return i.listing.Time
}
