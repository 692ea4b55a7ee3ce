package keys

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"laterna.dev/laterna/boundtoken"
)

func TestServersThatStartAtOnceAgree(t *testing.T) {
	b := &memory{}
	var rings []*Ring
	for range 8 {
		r := newRing(t, boundtoken.ES256)
		r.Prepare()
		rings = append(rings, r)
	}
	for _, r := range rings {
		run(t, r, b)
	}
	first, _ := rings[0].ids(t)
	for i, r := range rings {
		if id, set := r.ids(t); id != first || len(set.Find("")) != 1 {
			t.Errorf("ring %d signs with %s of %d keys, ring 0 with %s", i, id, len(set.Find("")), first)
		}
	}
	if _, stores := b.contents(); stores != 1 {
		t.Errorf("%d stores", stores)
	}
}

func TestRestartKeepsTheKey(t *testing.T) {
	b := &memory{}
	a := newRing(t, "")
	stop := run(t, a, b)
	before, set := a.ids(t)
	if alg := set.Find(before)[0].Algorithm; alg != boundtoken.RS256 {
		t.Errorf("default algorithm is %s", alg)
	}
	stop()
	again := newRing(t, boundtoken.RS256)
	run(t, again, b)
	if after, _ := again.ids(t); after != before {
		t.Errorf("signs with %s after the restart, %s before", after, before)
	}
	if _, stores := b.contents(); stores != 1 {
		t.Errorf("%d stores", stores)
	}
}

func TestDeletedKeysAreReplacedByOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &memory{}
		r := newRing(t, boundtoken.ES256)
		run(t, r, b)
		first, _ := r.ids(t)
		b.mu.Lock()
		b.put(nil)
		b.mu.Unlock()
		synctest.Wait()
		second, set := r.ids(t)
		if data, _ := b.contents(); data == nil || second == first || len(set.Find("")) != 1 {
			t.Errorf("signs with %s of %d keys, with %s before all were deleted", second, len(set.Find("")), first)
		}
	})
}

func TestUnreachableStoreIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &memory{failing: errors.New("no leader")}
		r := newRing(t, boundtoken.ES256)
		run(t, r, b)
		time.Sleep(5 * time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := r.Signer(ctx, time.Time{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("signer of an unreachable store: %v", err)
		}
		b.fail(nil)
		time.Sleep(2 * time.Second)
		r.ids(t)
	})
}

func TestTokensOfTheRingVerify(t *testing.T) {
	r := newRing(t, boundtoken.ES256)
	run(t, r, &memory{})
	for _, kind := range Types() {
		want, _, err := r.Rotate(t.Context(), Rotation{Type: kind, Immediate: true})
		if err != nil {
			t.Fatal(err)
		}
		signer, err := r.Signer(t.Context(), time.Now().Add(time.Hour))
		if err != nil || signer.Key().ID != want.ID || want.Type != kind || want.Algorithm != kind.Algorithm() {
			t.Fatalf("%s: signs with %+v, want %+v: %v", kind, signer, want, err)
		}
		c := boundtoken.NewClaims(boundtoken.Grant{Namespace: "default", ServiceAccount: boundtoken.Ref{Name: "a", UID: "u"}, Audience: []string{"x"}, Lifetime: time.Hour}, time.Now())
		name, err := boundtoken.ParseIssuer("https://issuer")
		if err != nil {
			t.Fatal(err)
		}
		c.Issuer = name.String()
		token, err := boundtoken.Mint(context.Background(), signer, c)
		if err != nil {
			t.Fatal(err)
		}
		_, set := r.ids(t)
		if _, err := boundtoken.Verify(t.Context(), token.Reveal(), boundtoken.Expected{Issuers: []boundtoken.Issuer{name}, Audiences: []string{"x"}, Keys: set, Time: time.Now()}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestOnlyAlgorithmsOfKeysThatCanBeMade(t *testing.T) {
	for _, alg := range []boundtoken.Algorithm{"HS256", "RS512", "PS256", "EdDSA", "none", "rs256"} {
		if _, err := New(Config{Algorithm: alg}); err == nil {
			t.Errorf("%s is accepted", alg)
		}
	}
	for _, alg := range []boundtoken.Algorithm{"", boundtoken.RS256, boundtoken.ES256, boundtoken.ES384, boundtoken.ES512} {
		if _, err := New(Config{Algorithm: alg}); err != nil {
			t.Errorf("%q: %v", alg, err)
		}
	}
}
