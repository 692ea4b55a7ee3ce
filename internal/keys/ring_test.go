package keys

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
)

// memory is a Backend in memory, with the guarantees that Backend asks for.
type memory struct {
	mu       sync.Mutex
	data     []byte
	rev      int64
	stores   int
	failing  error
	watchers map[chan struct{}]func()
}

func (m *memory) Load(context.Context) ([]byte, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data, m.rev, m.failing
}

func (m *memory) Store(_ context.Context, data []byte, expected int64) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failing != nil {
		return 0, m.failing
	}
	if expected != m.rev {
		return 0, ErrConflict
	}
	m.put(data)
	return m.rev, nil
}

func (m *memory) put(data []byte) {
	m.data, m.rev, m.stores = data, m.rev+1, m.stores+1
	for _, changed := range m.watchers {
		changed()
	}
}

func (m *memory) Watch(ctx context.Context, changed func()) error {
	id := make(chan struct{})
	m.mu.Lock()
	if m.failing != nil {
		m.mu.Unlock()
		return m.failing
	}
	if m.watchers == nil {
		m.watchers = map[chan struct{}]func(){}
	}
	m.watchers[id] = changed
	m.mu.Unlock()
	changed()
	<-ctx.Done()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watchers, id)
	return ctx.Err()
}

func newRing(t testing.TB, alg boundtoken.Algorithm) *Ring {
	t.Helper()
	r, err := New(Config{Algorithm: alg, Clock: clock.RealClock{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run runs r on b until the test ends or stop is called.
func run(t testing.TB, r *Ring, b Backend) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, b) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// view returns the ID of the key that signs and all accepted keys.
func (r *Ring) ids(t testing.TB) (string, *jwks.Set) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s, err := r.Signer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	set, err := r.Keys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s.Key().ID, set
}

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
		if id, set := r.ids(t); id != first || len(set.Lookup("")) != 1 {
			t.Errorf("ring %d signs with %s of %d keys, ring 0 with %s", i, id, len(set.Lookup("")), first)
		}
	}
	if b.stores != 1 {
		t.Errorf("%d stores", b.stores)
	}
}

func TestRestartKeepsTheKey(t *testing.T) {
	b := &memory{}
	a := newRing(t, "")
	stop := run(t, a, b)
	before, set := a.ids(t)
	if alg := set.Lookup(before)[0].Algorithm; alg != boundtoken.RS256 {
		t.Errorf("default algorithm is %s", alg)
	}
	stop()
	again := newRing(t, boundtoken.RS256)
	run(t, again, b)
	if after, _ := again.ids(t); after != before {
		t.Errorf("signs with %s after the restart, %s before", after, before)
	}
	if b.stores != 1 {
		t.Errorf("%d stores", b.stores)
	}
}

func TestAnotherAlgorithmGetsAKeyAndKeepsTheOld(t *testing.T) {
	b := &memory{}
	start := func(alg boundtoken.Algorithm) (string, *jwks.Set, func()) {
		r := newRing(t, alg)
		stop := run(t, r, b)
		id, set := r.ids(t)
		return id, set, stop
	}
	rs, _, stop := start(boundtoken.RS256)
	stop()
	es, set, stop := start(boundtoken.ES256)
	stop()
	if es == rs || len(set.Lookup("")) != 2 || len(set.Lookup(rs)) != 1 {
		t.Errorf("signs with %s, was %s, accepts %d keys", es, rs, len(set.Lookup("")))
	}
	if alg := set.Lookup(es)[0].Algorithm; alg != boundtoken.ES256 {
		t.Errorf("signs with %s", alg)
	}
	back, set, _ := start(boundtoken.RS256)
	if back != rs || len(set.Lookup("")) != 2 {
		t.Errorf("back to RS256 signs with %s of %d keys, want %s of 2", back, len(set.Lookup("")), rs)
	}
}

func TestChangesInTheStoreAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &memory{}
		r := newRing(t, boundtoken.ES256)
		run(t, r, b)
		first, set := r.ids(t)
		if _, same := r.ids(t); same != set {
			t.Error("the set is another one without a change")
		}
		k, err := newKey(boundtoken.ES256, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		ring, err := decode(b.data)
		if err != nil {
			t.Fatal(err)
		}
		ring[0].state = Accepted
		data, err := encode(append(ring, k))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Store(context.Background(), data, b.rev); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		id, set := r.ids(t)
		if id != k.public().ID || len(set.Lookup(first)) != 1 || len(set.Lookup("")) != 2 {
			t.Errorf("after the change signs with %s, want %s", id, k.public().ID)
		}
		b.mu.Lock()
		b.put(nil)
		b.mu.Unlock()
		synctest.Wait()
		if b.data == nil {
			t.Error("deleted keys are not replaced")
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
		if _, err := r.Signer(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("signer of an unreachable store: %v", err)
		}
		b.mu.Lock()
		b.failing = nil
		b.mu.Unlock()
		time.Sleep(2 * time.Second)
		r.ids(t)
	})
}

func TestStoredFormThatCannotBeReadStopsTheServer(t *testing.T) {
	k, err := newKey(boundtoken.ES256, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	good, err := encode([]key{k})
	if err != nil {
		t.Fatal(err)
	}
	change := func(old, new string) string {
		out := strings.Replace(string(good), old, new, 1)
		if out == string(good) {
			t.Fatalf("no %s in the stored form", old)
		}
		return out
	}
	for name, tc := range map[string]struct{ data, want string }{
		"damaged":       {string(good[:len(good)/2]), "damaged"},
		"later release": {change(`"version":1`, `"version":2`), "later release"},
		"no active key": {change(`"active"`, `"accepted"`), "0 keys are active"},
		"other state":   {change(`"active"`, `"retired"`), `unknown state "retired"`},
		"other ID":      {change(k.public().ID[:5], "AAAAA"), "does not match its ID"},
		"not a key":     {change(`"pkcs8":"`, `"pkcs8":"AAAA`), "not a private key"},
		"empty":         {`{"version":1,"keys":[]}`, "0 keys are active"},
	} {
		t.Run(name, func(t *testing.T) {
			err := newRing(t, boundtoken.ES256).Run(context.Background(), &memory{data: []byte(tc.data), rev: 1})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
}

func TestTokensOfTheRingVerify(t *testing.T) {
	for _, alg := range []boundtoken.Algorithm{boundtoken.RS256, boundtoken.ES256} {
		r := newRing(t, alg)
		run(t, r, &memory{})
		signer, err := r.Signer(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		c := boundtoken.NewClaims(boundtoken.Grant{Namespace: "default", ServiceAccount: boundtoken.Ref{Name: "a", UID: "u"}, Audience: []string{"x"}, Lifetime: time.Hour}, time.Now())
		c.Issuer = "https://issuer"
		token, err := boundtoken.Mint(context.Background(), signer, c)
		if err != nil {
			t.Fatal(err)
		}
		_, set := r.ids(t)
		if _, err := boundtoken.Verify(token.Reveal(), boundtoken.Expected{Issuers: []string{"https://issuer"}, Audiences: []string{"x"}, Keys: set, Time: time.Now()}); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestOnlyTheTwoAlgorithms(t *testing.T) {
	for _, alg := range []boundtoken.Algorithm{"HS256", "ES512", "none", "rs256"} {
		if _, err := New(Config{Algorithm: alg}); err == nil {
			t.Errorf("%s is accepted", alg)
		}
	}
}
