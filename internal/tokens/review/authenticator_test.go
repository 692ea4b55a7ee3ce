package review_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/tokens/review"
)

const iss = "https://kubernetes.default.svc"

// system is an authenticator and everything that it depends on.
type system struct {
	*review.Authenticator
	store       *store
	clock, wall *clocktesting.FakeClock
	signer      boundtoken.Signer
	set         *jwks.Set
	behind      *jwks.Set // what s.set becomes when keys are confirmed, if not nil
	issuers     []string
	former      map[string]time.Time // issuers that were trusted once
}

func (s *system) Accepted() (all []boundtoken.Issuer) {
	for _, text := range s.issuers {
		if i, err := boundtoken.ParseIssuer(text); err == nil {
			all = append(all, i)
		}
	}
	return all
}
func (s *system) APIAudiences() []string { return []string{"api"} }
func (s *system) WasTrusted(issuer string) (time.Time, bool) {
	until, ok := s.former[issuer]
	return until, ok
}
func (s *system) Keys(context.Context) (*jwks.Set, error) { return s.set, nil }
func (s *system) uid(k review.ObjectKey) string           { return s.store.objects[k].UID }
func (s *system) ref(k review.ObjectKey) boundtoken.Ref {
	return boundtoken.Ref{Name: k.Name, UID: s.uid(k)}
}

func newSigner(t testing.TB) boundtoken.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := boundtoken.NewSigner(crypto.Signer(k))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newSystem(t testing.TB) *system {
	t.Helper()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	s := &system{
		store:   newStore(),
		clock:   clocktesting.NewFakeClock(now),
		wall:    clocktesting.NewFakeClock(now.Add(-1000 * time.Hour)),
		signer:  newSigner(t),
		issuers: []string{iss},
	}
	s.set = jwks.New(s.signer.Key())
	for _, k := range []review.ObjectKey{account, pod, secret, node} {
		s.store.put(k, nil)
	}
	var err error
	s.Authenticator, err = review.New(review.Config{
		Issuer: s, Keys: s, Objects: review.NewProven(s.store, s.store.revisions), Clock: clock.APIOf(s.clock), Wall: clock.WallOf(s.wall),
		ConfirmKeys: func(context.Context) {
			if s.behind != nil {
				s.set, s.behind = s.behind, nil
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// grant is bound to what of the four objects is named in to.
func (s *system) grant(to ...review.ObjectKey) boundtoken.Grant {
	g := boundtoken.Grant{Namespace: account.Namespace, ServiceAccount: s.ref(account), Audience: []string{"api", "vault"}, Lifetime: time.Hour}
	for _, k := range to {
		ref := s.ref(k)
		switch k {
		case pod:
			g.Pod = &ref
		case secret:
			g.Secret = &ref
		case node:
			g.Node = &ref
		}
	}
	return g
}

func (s *system) mint(t testing.TB, g boundtoken.Grant) string {
	t.Helper()
	c := boundtoken.NewClaims(g, s.clock.Now())
	c.Issuer = s.issuers[0]
	token, err := boundtoken.Mint(context.Background(), s.signer, c)
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

func (s *system) check(token string, audiences ...string) (*authenticator.Response, error) {
	ctx := context.Background()
	if len(audiences) > 0 {
		ctx = authenticator.WithAudiences(ctx, audiences)
	}
	resp, ok, err := s.AuthenticateToken(ctx, token)
	if ok != (err == nil && resp != nil) {
		return resp, errors.New("answer contradicts itself")
	}
	return resp, err
}

func TestUserOfAPodsToken(t *testing.T) {
	s := newSystem(t)
	c := boundtoken.NewClaims(s.grant(pod, node), s.clock.Now())
	c.Issuer = iss
	token, err := boundtoken.Mint(context.Background(), s.signer, c)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // at first sight and remembered
		resp, err := s.check(token.Reveal(), "vault", "other")
		if err != nil {
			t.Fatal(err)
		}
		u := resp.User
		if u.GetName() != "system:serviceaccount:default:build-robot" || u.GetUID() != s.uid(account) {
			t.Errorf("user %s, uid %s", u.GetName(), u.GetUID())
		}
		if !slices.Equal(u.GetGroups(), []string{"system:serviceaccounts", "system:serviceaccounts:default"}) {
			t.Errorf("groups %v", u.GetGroups())
		}
		if !slices.Equal(resp.Audiences, []string{"vault"}) {
			t.Errorf("audiences %v", resp.Audiences)
		}
		want := map[string]string{"pod-name": "nginx", "pod-uid": s.uid(pod), "node-name": "node1", "node-uid": s.uid(node), "credential-id": "JTI=" + c.ID}
		if len(u.GetExtra()) != len(want) {
			t.Errorf("extra %v", u.GetExtra())
		}
		for k, v := range want {
			if got := u.GetExtra()["authentication.kubernetes.io/"+k]; !slices.Equal(got, []string{v}) {
				t.Errorf("extra %s is %v, want %s", k, got, v)
			}
		}
	}
}

// Each case breaks one thing after the token was seen to be good, and each
// refusal has a reason of its own.
func TestRefusals(t *testing.T) {
	recreate := func(k review.ObjectKey) func(*testing.T, *system) {
		return func(_ *testing.T, s *system) { s.store.delete(k); s.store.put(k, nil) }
	}
	remove := func(k review.ObjectKey) func(*testing.T, *system) {
		return func(_ *testing.T, s *system) { s.store.delete(k) }
	}
	terminating := func(k review.ObjectKey, ago time.Duration) func(*testing.T, *system) {
		return func(_ *testing.T, s *system) { s.store.terminate(k, s.wall.Now().Add(-ago)) }
	}
	advance := func(d time.Duration) func(*testing.T, *system) {
		return func(_ *testing.T, s *system) { s.clock.SetTime(s.clock.Now().Add(d)) }
	}
	const gone = "service account token has been invalidated"
	for name, tc := range map[string]struct {
		bound []review.ObjectKey
		after func(*testing.T, *system)
		want  string // "" means that it still passes
	}{
		"account deleted":             {nil, remove(account), `serviceaccounts "build-robot" not found`},
		"account created again":       {nil, recreate(account), "service account UID (NEW) does not match claim (OLD)"},
		"account terminating":         {nil, terminating(account, 60*time.Second), ""},
		"account terminating long":    {nil, terminating(account, 61*time.Second), "service account default/build-robot has been deleted"},
		"account deleted, pod too":    {[]review.ObjectKey{pod}, func(t *testing.T, s *system) { remove(account)(t, s); remove(pod)(t, s) }, `serviceaccounts "build-robot" not found`},
		"pod deleted":                 {[]review.ObjectKey{pod}, remove(pod), gone},
		"pod created again":           {[]review.ObjectKey{pod}, recreate(pod), "pod UID (NEW) does not match service account pod ref claim (OLD)"},
		"pod in its grace period":     {[]review.ObjectKey{pod}, terminating(pod, -30*time.Second), ""},
		"pod terminating":             {[]review.ObjectKey{pod}, terminating(pod, 60*time.Second), ""},
		"pod terminating long":        {[]review.ObjectKey{pod}, terminating(pod, 61*time.Second), gone},
		"pod changed":                 {[]review.ObjectKey{pod}, func(_ *testing.T, s *system) { s.store.put(pod, nil) }, ""},
		"pod's node deleted":          {[]review.ObjectKey{pod, node}, remove(node), ""},
		"pod's node created again":    {[]review.ObjectKey{pod, node}, recreate(node), ""},
		"pod of another token":        {[]review.ObjectKey{node}, remove(pod), ""},
		"secret deleted":              {[]review.ObjectKey{secret}, remove(secret), gone},
		"secret created again":        {[]review.ObjectKey{secret}, recreate(secret), "secret UID (NEW) does not match service account secret ref claim (OLD)"},
		"secret terminating long":     {[]review.ObjectKey{secret}, terminating(secret, time.Hour), gone},
		"node deleted":                {[]review.ObjectKey{node}, remove(node), gone},
		"node created again":          {[]review.ObjectKey{node}, recreate(node), "node UID (NEW) does not match service account node ref claim (OLD)"},
		"node terminating long":       {[]review.ObjectKey{node}, terminating(node, time.Hour), gone},
		"expired":                     {[]review.ObjectKey{pod}, advance(time.Hour + 61*time.Second), "service account token has expired"},
		"just before it expires":      {[]review.ObjectKey{pod}, advance(time.Hour + 60*time.Second), ""},
		"clock set back":              {[]review.ObjectKey{pod}, advance(-61 * time.Second), "service account token is not valid yet"},
		"clock forward, pod deleting": {[]review.ObjectKey{pod}, func(t *testing.T, s *system) { terminating(pod, -30*time.Second)(t, s); advance(50*time.Minute)(t, s) }, ""},
		"key replaced":                {nil, func(t *testing.T, s *system) { s.set = jwks.New(newSigner(t).Key()) }, "invalid signature, no keys found"},
		"key joined by another":       {nil, func(t *testing.T, s *system) { s.set = jwks.New(s.signer.Key(), newSigner(t).Key()) }, ""},
		"key not heard of":            {nil, func(t *testing.T, s *system) { s.set, s.behind = jwks.New(newSigner(t).Key()), s.set }, ""},
		"key gone unheard of": {nil, func(t *testing.T, s *system) {
			s.set, s.behind = jwks.New(newSigner(t).Key()), jwks.New(newSigner(t).Key())
		}, "invalid signature, no keys found"},
		"issuer not trusted any more": {nil, func(_ *testing.T, s *system) {
			s.issuers, s.former = []string{"https://test.default.svc"}, map[string]time.Time{iss: time.Unix(0, 0)}
		}, `token issuer "https://kubernetes.default.svc" is invalid: it was trusted until 1970-01-01T00:00:00Z`},
		"issuer replaced":          {nil, func(_ *testing.T, s *system) { s.issuers = []string{"https://test.default.svc"} }, `token issuer "https://kubernetes.default.svc" is invalid`},
		"issuer joined by another": {nil, func(_ *testing.T, s *system) { s.issuers = []string{"https://test.default.svc", iss} }, ""},
		"store cannot tell":        {nil, func(_ *testing.T, s *system) { s.store.err = errors.New("no leader") }, "service account token cannot be checked: reading revisions: no leader"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			old := ""
			for _, k := range append([]review.ObjectKey{account}, tc.bound...) {
				old = s.uid(k)
			}
			token := s.mint(t, s.grant(tc.bound...))
			if _, err := s.check(token); err != nil {
				t.Fatalf("refused from the first: %v", err)
			}
			tc.after(t, s)
			resp, err := s.check(token)
			if tc.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			current := ""
			for _, k := range append([]review.ObjectKey{account}, tc.bound...) {
				current = s.uid(k)
			}
			want := strings.NewReplacer("NEW", current, "OLD", old).Replace(tc.want)
			if err == nil {
				t.Fatalf("passes as %v", resp.User)
			}
			if err.Error() != want {
				t.Errorf("%q, want %q", err, want)
			}
		})
	}
}

func TestAudiences(t *testing.T) {
	s := newSystem(t)
	g := s.grant(pod)
	g.Audience = []string{"vault"}
	token := s.mint(t, g)
	if _, err := s.check(token, "vault"); err != nil {
		t.Errorf("for its audience: %v", err)
	}
	const refusal = `token audiences ["vault"] is invalid for the target audiences ["api"]`
	if _, err := s.check(token); err == nil || err.Error() != refusal {
		t.Errorf("for the API server: %v", err)
	}
	if _, err := s.check(token, "bank"); err == nil || !strings.Contains(err.Error(), `target audiences ["bank"]`) {
		t.Errorf("for another audience: %v", err)
	}
}

func TestForgeries(t *testing.T) {
	s := newSystem(t)
	token := s.mint(t, s.grant(pod))
	if _, err := s.check(token); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	foreign := &system{store: s.store, clock: s.clock, signer: newSigner(t), issuers: s.issuers}
	for name, tc := range map[string]struct{ token, want string }{
		"another payload":   {parts[0] + "." + strings.Split(s.mint(t, s.grant()), ".")[1] + "." + parts[2], "invalid signature, the token was changed or signed with another key"},
		"a foreign key":     {foreign.mint(t, s.grant(pod)), "invalid signature, no keys found"},
		"without signature": {"eyJhbGciOiJub25lIn0." + parts[1] + ".AAAA", `token algorithm "none" is not allowed`},
		"oversize":          {parts[0] + "." + parts[1] + "." + strings.Repeat("A", boundtoken.MaxSize), "longer than"},
	} {
		if _, err := s.check(tc.token); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	for _, other := range []string{"", "abcdef.0123456789abcdef", "opaque", "a.b.c.d", "..", "a..b"} {
		if resp, ok, err := s.AuthenticateToken(context.Background(), other); ok || err != nil || resp != nil {
			t.Errorf("%q is not left to others: %v, %v", other, ok, err)
		}
	}
}

func TestTokensOfExtendedLifeAreCountedAndMarked(t *testing.T) {
	s := newSystem(t)
	registry := metrics.NewKubeRegistry()
	registry.MustRegister(s.Metrics()...)
	g := s.grant(pod)
	g.Lifetime, g.WarnAfter = 365*24*time.Hour, 3607*time.Second
	token := s.mint(t, g)
	plain := s.mint(t, s.grant(pod))

	use := func(token string) map[string]string {
		t.Helper()
		ctx := audit.WithAuditContext(context.Background())
		if _, ok, err := s.AuthenticateToken(ctx, token); !ok {
			t.Fatal(err)
		}
		return audit.AuditContextFrom(ctx).GetEventAnnotations()
	}
	if got := use(plain); len(got) > 0 {
		t.Errorf("a plain token is marked: %v", got)
	}
	if got := use(token); len(got) > 0 {
		t.Errorf("a token that is not stale is marked: %v", got)
	}
	s.clock.SetTime(s.clock.Now().Add(3610 * time.Second))
	const mark = "subject: system:serviceaccount:default:build-robot, seconds after warning threshold: 3"
	for range 2 {
		if got := use(token)["authentication.k8s.io/stale-token"]; got != mark {
			t.Errorf("a stale token is marked %q", got)
		}
	}
	err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP serviceaccount_stale_tokens_total [ALPHA] Cumulative stale projected service account tokens used
# TYPE serviceaccount_stale_tokens_total counter
serviceaccount_stale_tokens_total 2
# HELP serviceaccount_valid_tokens_total [ALPHA] Cumulative valid projected service account tokens used
# TYPE serviceaccount_valid_tokens_total counter
serviceaccount_valid_tokens_total 1
`), "serviceaccount_stale_tokens_total", "serviceaccount_valid_tokens_total")
	if err != nil {
		t.Error(err)
	}
}
