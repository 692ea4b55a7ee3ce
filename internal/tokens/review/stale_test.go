package review_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/tokens/review"
)

// observe makes the system's authenticator anew, with rotations and an observer.
func (s *system) observe(t testing.TB, o review.Observer) *review.Rotations {
	t.Helper()
	r := review.NewRotations()
	var err error
	s.Authenticator, err = review.New(review.Config{
		Issuer: s, Keys: s, Objects: review.NewProven(s.store, s.store.revisions), Clock: clock.APIOf(s.clock), Wall: clock.WallOf(s.wall),
		Rotations: r, Observer: o,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// issue mints a token that the pod's node is given.
func (s *system) issue(t testing.TB, r *review.Rotations, g boundtoken.Grant) string {
	t.Helper()
	c := boundtoken.NewClaims(g, s.clock.Now())
	r.Issued(&c)
	return s.mint(t, g)
}

func (s *system) advance(d time.Duration) { s.clock.SetTime(s.clock.Now().Add(d)) }

func TestUseOfAReplacedToken(t *testing.T) {
	s, w := newSystem(t), &watcher{}
	r := s.observe(t, w)
	old := s.issue(t, r, s.grant(pod))
	s.advance(48 * time.Minute)
	fresh := s.issue(t, r, s.grant(pod))
	use := func(token string) string {
		t.Helper()
		_, marks, err := s.marked(token)
		if err != nil {
			t.Fatal(err)
		}
		return marks[review.StaleAnnotation]
	}
	s.advance(120 * time.Second)
	if got := use(old) + use(fresh); got != "" || len(w.stale) != 0 {
		t.Errorf("marked within two minutes: %q, %v", got, w.stale)
	}
	s.advance(5 * time.Second)
	want := fmt.Sprintf("reason: superseded, seconds: 125, service account: default/build-robot, pod: nginx, pod uid: %s, credential: JTI=", s.uid(pod))
	if got := use(old); !strings.HasPrefix(got, want) {
		t.Errorf("marked %q, want %q", got, want)
	}
	if got := use(fresh); got != "" {
		t.Errorf("the new token is marked %q", got)
	}
	if len(w.stale) != 1 || w.stale[0] != (review.StaleUse{
		Namespace: "default", ServiceAccount: "build-robot", Pod: "nginx", PodUID: s.uid(pod), Reason: review.Superseded, For: 125 * time.Second}) {
		t.Errorf("told %+v", w.stale)
	}
}

// Tokens of one pod that live side by side do not replace each other.
func TestTokensOfOnePodDoNotReplaceEachOther(t *testing.T) {
	s, w := newSystem(t), &watcher{}
	r := s.observe(t, w)
	first := s.grant(pod)
	audiences, life, extended, other := first, first, first, first
	audiences.Audience = []string{"api"}
	life.Lifetime = 2 * time.Hour
	extended.WarnAfter = 3607 * time.Second
	other.Pod = &boundtoken.Ref{Name: "other", UID: "other"}
	reordered := first
	reordered.Audience = []string{"vault", "api"}
	token := s.issue(t, r, first)
	s.advance(time.Minute)
	for _, g := range []boundtoken.Grant{audiences, life, extended, other} {
		s.issue(t, r, g)
	}
	unbound := boundtoken.NewClaims(s.grant(), s.clock.Now())
	r.Issued(&unbound)
	s.advance(10 * time.Minute)
	if _, marks, err := s.marked(token); err != nil || len(marks) != 0 {
		t.Errorf("marked %v, %v", marks, err)
	}
	s.issue(t, r, reordered)
	s.advance(10 * time.Minute)
	if _, marks, err := s.marked(token); err != nil || marks[review.StaleAnnotation] == "" {
		t.Errorf("not marked although replaced by the same audiences in another order: %v", err)
	}
}

func TestStaleUsesAreCountedByServiceAccount(t *testing.T) {
	s, w := newSystem(t), &watcher{}
	r := s.observe(t, w)
	registry := metrics.NewKubeRegistry()
	registry.MustRegister(s.Metrics()...)
	g := s.grant(pod)
	g.Lifetime, g.WarnAfter = 365*24*time.Hour, 3607*time.Second
	token := s.issue(t, r, g)
	use := func() {
		t.Helper()
		if _, err := s.check(token); err != nil {
			t.Fatal(err)
		}
	}
	s.advance(3610 * time.Second)
	use() // past warnafter
	s.issue(t, r, g)
	s.advance(3 * time.Minute)
	use() // replaced as well, which is what counts
	use()
	err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP laterna_stale_token_uses_total [ALPHA] Uses of service account tokens that should have been replaced: a newer one was issued to the pod's node more than two minutes before (superseded), or the claim warnafter has passed (warnafter)
# TYPE laterna_stale_token_uses_total counter
laterna_stale_token_uses_total{namespace="default",reason="superseded",service_account="build-robot"} 2
laterna_stale_token_uses_total{namespace="default",reason="warnafter",service_account="build-robot"} 1
# HELP serviceaccount_stale_tokens_total [ALPHA] Cumulative stale projected service account tokens used
# TYPE serviceaccount_stale_tokens_total counter
serviceaccount_stale_tokens_total 3
`), "laterna_stale_token_uses_total", "serviceaccount_stale_tokens_total")
	if err != nil {
		t.Error(err)
	}
}

// Who may create service accounts must not be able to fill the memory of those who
// collect the metrics.
func TestNamesOfStaleUsesAreBounded(t *testing.T) {
	s, w := newSystem(t), &watcher{}
	r := s.observe(t, w)
	registry := metrics.NewKubeRegistry()
	registry.MustRegister(s.Metrics()...)
	for i := range 600 {
		k := account
		k.Name = fmt.Sprint("account-", i)
		s.store.put(k, nil)
		g := s.grant(pod)
		g.ServiceAccount = s.ref(k)
		g.Pod = &boundtoken.Ref{Name: pod.Name, UID: s.uid(pod)}
		old := boundtoken.NewClaims(g, s.clock.Now().Add(-10*time.Minute))
		newer := boundtoken.NewClaims(g, s.clock.Now().Add(-9*time.Minute))
		r.Issued(&newer)
		old.Issuer = iss
		token, err := boundtoken.Mint(t.Context(), s.signer, old)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.check(token.Reveal()); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "laterna_stale_token_uses_total" {
			continue
		}
		total, named := 0.0, len(f.GetMetric())
		for _, m := range f.GetMetric() {
			total += m.GetCounter().GetValue()
		}
		if named != 501 || total != 600 {
			t.Errorf("%d series with the sum %v, want 501 with 600", named, total)
		}
		return
	}
	t.Error("nothing is counted")
}
