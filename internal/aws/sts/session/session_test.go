package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/aws/caller"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/iam/memory"
	"laterna.dev/laterna/internal/aws/sigv4"
	"laterna.dev/laterna/internal/aws/sts/session"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/redacted"
)

// store is a Secret in memory.
type store struct {
	mu      sync.Mutex
	text    []byte
	version int
	loads   int
}

func (s *store) Load(context.Context) ([]byte, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	return s.text, fmt.Sprint(s.version), nil
}

func (s *store) Save(_ context.Context, text []byte, version string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version != fmt.Sprint(s.version) {
		return session.ErrConflict
	}
	s.text, s.version = text, s.version+1
	return nil
}

type setup struct {
	store *store
	fake  *clocktesting.FakeClock
	*session.Sealer
}

func newSetup() *setup {
	s := &setup{store: &store{}, fake: clocktesting.NewFakeClock(time.Date(2026, 9, 11, 10, 0, 0, 0, time.UTC))}
	s.Sealer = s.another()
	return s
}

// another is the sealer of another server on the same store.
func (s *setup) another() *session.Sealer {
	return session.NewSealer(session.Config{Store: s.store, Clock: clock.APIOf(s.fake), Wall: clock.WallOf(s.fake)})
}

func holder() caller.Caller {
	return caller.Caller{Account: "111122223333", ARN: "arn:aws:sts::111122223333:assumed-role/my-role/s", UserID: "AROAEXAMPLE:s",
		Session: &caller.Session{RoleARN: "arn:aws:iam::111122223333:role/my-role", RoleID: "AROAEXAMPLE", Name: "s", Tags: map[string]string{"k": "v"}, Claims: map[string][]string{"i:sub": {"x"}}}}
}

func TestATokenHoldsItsSessionUntilItEnds(t *testing.T) {
	s := newSetup()
	c, err := s.Begin(t.Context(), holder(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(c.ID, "ASIA") || len(c.ID) != 20 || len(c.Secret.Reveal()) != 40 || iam.AccountOfKey(c.ID) != "111122223333" {
		t.Errorf("%s, %d", c.ID, len(c.Secret.Reveal()))
	}
	if strings.Contains(string(s.store.text), c.Secret.Reveal()) || strings.Contains(c.Token.Reveal(), "arn:") {
		t.Error("the session can be read")
	}
	o, err := s.another().Open(t.Context(), c.Token.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if o.ID != c.ID || !o.Secret.Same(c.Secret) || o.Holder.ARN != holder().ARN || o.Holder.Session.Tags["k"] != "v" || o.Holder.Session.Claims["i:sub"][0] != "x" || o.Holder.Administrator {
		t.Errorf("%+v", o.Holder)
	}
	if end := o.Holder.Session.Expires; !end.Equal(s.fake.Now().Add(time.Hour)) {
		t.Error(end)
	}
	s.fake.Step(time.Hour)
	if _, err := s.Open(t.Context(), c.Token.Reveal()); !errors.Is(err, session.ErrExpired) {
		t.Errorf("after its end: %v", err)
	}
}

func TestTokensOfOthersAreNone(t *testing.T) {
	s := newSetup()
	c, err := s.Begin(t.Context(), holder(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	token := c.Token.Reveal()
	loads := s.store.loads
	foreign, err := newSetup().Begin(t.Context(), holder(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"nothing": "", "short": "AQ==", "not base64": "!" + token, "cut": token[:len(token)-4], "long": strings.Repeat("A", session.MaxToken+4),
		"changed at the end": token[:len(token)-4] + "AAAA", "another form": "B" + token[1:], "another system's": foreign.Token.Reveal(),
	} {
		if _, err := s.Open(t.Context(), text); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if s.store.loads > loads+1 {
		t.Errorf("tokens of others made the store be asked %d times", s.store.loads-loads)
	}
	for i := range len(token) {
		changed := []byte(token)
		changed[i] ^= 1
		if o, err := s.Open(t.Context(), string(changed)); err == nil && o.ID != c.ID {
			t.Fatalf("changed at %d: %v", i, o.ID)
		}
	}
}

func TestKeysOfSessionsAreReplacedAndEnd(t *testing.T) {
	s := newSetup()
	begin := func() string {
		c, err := s.Begin(t.Context(), holder(), session.MaxLife)
		if err != nil {
			t.Fatal(err)
		}
		return c.Token.Reveal()
	}
	first := begin()
	begin()
	if s.store.version != 1 {
		t.Errorf("%d keys for two sessions", s.store.version)
	}
	s.fake.Step(24*time.Hour - time.Second)
	last := begin()
	s.fake.Step(time.Second)
	begin()
	if s.store.version != 2 {
		t.Errorf("after a day the keys are written %d times, want twice", s.store.version)
	}
	s.fake.Step(session.MaxLife - 2*time.Second)
	if _, err := s.Open(t.Context(), last); err != nil {
		t.Errorf("a session before its end: %v", err)
	}
	if _, err := s.Open(t.Context(), first); err == nil {
		t.Error("a session after its end is open")
	}
	s.fake.Step(25 * time.Hour)
	begin()
	if strings.Count(string(s.store.text), `"id"`) != 2 {
		t.Errorf("old keys stay: %d", strings.Count(string(s.store.text), `"id"`))
	}
}

func TestWithoutTheirKeysSessionsEnd(t *testing.T) {
	s := newSetup()
	c, err := s.Begin(t.Context(), holder(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Open(t.Context(), c.Token.Reveal()); err != nil {
			t.Fatal(err)
		}
	}
	if s.store.loads > 1 {
		t.Errorf("asked %d times at once", s.store.loads)
	}
	s.store.text = nil // somebody has deleted the Secret
	s.fake.Step(10 * time.Second)
	if _, err := s.Open(t.Context(), c.Token.Reveal()); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("the session goes on: %v", err)
	}
	again, err := s.Begin(t.Context(), holder(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), again.Token.Reveal()); err != nil {
		t.Error(err)
	}
}

func TestServersThatBeginAtOnceAgreeOnAKey(t *testing.T) {
	s := newSetup()
	var tokens [4]string
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() {
			c, err := s.another().Begin(context.Background(), holder(), time.Hour)
			if err != nil {
				t.Error(err)
				return
			}
			tokens[i] = c.Token.Reveal()
		})
	}
	wg.Wait()
	for _, token := range tokens {
		if _, err := s.Open(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
	if s.store.version != 1 {
		t.Errorf("%d keys", s.store.version)
	}
}

func TestSignersAreKnownByTheirKeys(t *testing.T) {
	s := newSetup()
	dir := memory.New(s.fake.Now)
	role, err := dir.CreateRole(t.Context(), iam.Role{Account: "111122223333", Name: "my-role", Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	h := holder()
	h.Session.RoleID = role.ID
	c, err := s.Begin(t.Context(), h, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	dir.AddAccessKey(iam.AccessKey{ID: "AKIAEXAMPLE", Secret: redacted.New("s"), Account: "111122223333", UserName: "admin", UserID: "AIDA", Administrator: true})
	keys := session.Keys{Sealer: s.Sealer, Directory: dir}
	if k, err := keys.Key(t.Context(), "AKIAEXAMPLE", ""); err != nil || k.Holder.ARN != "arn:aws:iam::111122223333:user/admin" || !k.Holder.Administrator || k.Secret.Reveal() != "s" {
		t.Errorf("%+v, %v", k, err)
	}
	if k, err := keys.Key(t.Context(), c.ID, c.Token.Reveal()); err != nil || k.Holder.UserID != h.UserID || !k.Secret.Same(c.Secret) {
		t.Errorf("%+v, %v", k, err)
	}
	for what, k := range map[string][2]string{
		"no such key": {"AKIANOBODY", ""}, "without its token": {c.ID, ""}, "another's token": {"ASIAOTHER", c.Token.Reveal()}, "a token with AKIA": {"AKIAEXAMPLE", c.Token.Reveal()},
	} {
		if _, err := keys.Key(t.Context(), k[0], k[1]); !errors.Is(err, sigv4.ErrUnknown) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := dir.DeleteRole(t.Context(), "111122223333", "my-role", func(*iam.Role) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.CreateRole(t.Context(), iam.Role{Account: "111122223333", Name: "my-role", Path: "/"}); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Key(t.Context(), c.ID, c.Token.Reveal()); !errors.Is(err, sigv4.ErrUnknown) {
		t.Errorf("the role was made again: %v", err)
	}
	s.fake.Step(time.Hour)
	if _, err := keys.Key(t.Context(), c.ID, c.Token.Reveal()); !errors.Is(err, sigv4.ErrExpired) {
		t.Errorf("after its end: %v", err)
	}
}

func TestPackedSizesGrow(t *testing.T) {
	small := session.PackedTags(map[string]string{"a": "b"}, nil, "")
	big := map[string]string{}
	for i := range 9 {
		big[fmt.Sprint("key", i)] = strings.Repeat(fmt.Sprintf("%x", i*7919), 60)
	}
	if n := session.PackedTags(nil, nil, ""); n != 0 || small < 1 || small > 10 || session.PackedTags(big, nil, "") <= small {
		t.Errorf("%d, %d, %d", n, small, session.PackedTags(big, nil, ""))
	}
	if n := session.PackedPolicies(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`, nil); n < 1 || n > 20 {
		t.Error(n)
	}
}

func FuzzOpen(f *testing.F) {
	s := newSetup()
	c, err := s.Begin(context.Background(), holder(), time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.Token.Reveal())
	f.Add("AQAAAAAAAAAAAA==")
	f.Fuzz(func(t *testing.T, token string) {
		if o, err := s.Open(context.Background(), token); err == nil && o.ID != c.ID {
			t.Errorf("%v", o.ID)
		}
	})
}
