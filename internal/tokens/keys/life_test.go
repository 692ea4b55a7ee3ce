package keys

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	baseclock "k8s.io/utils/clock"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/clock"
)

// server is a ring that runs, with its clock.
type server struct {
	*Ring
	t     *testing.T
	clock *clock.Clock
	stop  func()
}

// serve starts a server on b whose clock is ahead by offset.
func serve(t *testing.T, b Backend, alg boundtoken.Algorithm, offset time.Duration) *server {
	t.Helper()
	s := &server{t: t, clock: clock.New(baseclock.RealClock{})}
	s.clock.SetOffset(offset)
	s.Ring = newRing(t, alg, func(c *Config) { c.Clock = s.clock })
	s.stop = run(t, s.Ring, b)
	synctest.Wait()
	return s
}

// mint does what issuing a token of that life does to the ring, and returns the key.
func (s *server) mint(life time.Duration) string {
	s.t.Helper()
	signer, err := s.Signer(s.t.Context(), s.clock.Now().Add(life))
	if err != nil {
		s.t.Fatal(err)
	}
	return signer.Key().ID
}

func (s *server) rotate(want Rotation) Key {
	s.t.Helper()
	k, _, err := s.Rotate(s.t.Context(), want)
	if err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
	return k
}

// jump moves the clock and lets everything come to rest.
func (s *server) jump(d time.Duration) {
	s.clock.SetOffset(s.clock.Offset() + d)
	synctest.Wait()
}

// want fails unless the keys are in these states, by ID, in this order.
func (s *server) want(when string, want ...any) {
	s.t.Helper()
	all, _, err := s.List(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var got []any
	var ids []string
	for _, k := range all {
		got = append(got, k.ID, k.State)
		ids = append(ids, k.ID)
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("%s: keys are %v, want %v", when, got, want)
	}
	signing, set := s.ids(s.t)
	if i := slices.Index(want, any(Signing)); i < 1 || signing != want[i-1] {
		s.t.Errorf("%s: %s signs", when, signing)
	}
	var published []string
	for _, k := range set.Find("") {
		published = append(published, k.ID)
	}
	if !slices.Equal(published, ids) {
		s.t.Errorf("%s: %v are published, want %v", when, published, ids)
	}
}

// TestLifeOfAKey follows a key from the rotation that makes it to the end of its
// last token.
func TestLifeOfAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond) // so that seconds have to be rounded
		b := &memory{}
		s := serve(t, b, boundtoken.ES256, 0)
		old := s.mint(2 * time.Hour)
		rotated := time.Now()
		k := s.rotate(Rotation{Type: ECDSAP384})
		if k.State != Upcoming || k.Type != ECDSAP384 || k.SignsFrom.Sub(rotated) < MaxAge+publishing || k.SignsFrom.Sub(rotated) > MaxAge+publishing+time.Second {
			t.Errorf("rotated at %s to %+v", rotated, k)
		}
		s.want("after the rotation", old, Signing, k.ID, Upcoming)
		if next, ok := s.NextChange(); !ok || !next.Equal(k.SignsFrom) {
			t.Errorf("the next change is at %s, %v", next, ok)
		}
		time.Sleep(time.Until(k.SignsFrom) - time.Millisecond)
		lastToken := time.Now().Add(2 * time.Hour)
		if by := s.mint(2 * time.Hour); by != old {
			t.Errorf("%s signs too early", by)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		s.want("when it signs", old, Retired, k.ID, Signing)
		if by := s.mint(time.Hour); by != k.ID {
			t.Errorf("%s signs when it is retired", by)
		}
		all, _, _ := s.List(t.Context())
		if r := all[0]; !r.RetiredAt.Equal(k.SignsFrom) || r.LastEnd.Before(lastToken) || r.LastEnd.After(lastToken.Add(headroom+time.Second)) {
			t.Errorf("%+v, the last token ends at %s", r, lastToken)
		}
		data, _ := b.contents()
		if stored, _ := decode(data, time.Now()); stored.keys[0].pkcs8 != nil || bytes.Count(data, []byte("pkcs8")) != 1 {
			t.Error("the private half of a retired key is still stored")
		}
		next, ok := s.NextChange()
		if !ok || next.Before(lastToken.Add(boundtoken.Leeway)) {
			t.Errorf("its last token ends at %s, it goes at %s, %v", lastToken, next, ok)
		}
		time.Sleep(time.Until(next) - time.Millisecond)
		s.want("before its last token has ended", old, Retired, k.ID, Signing)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		s.want("after that", k.ID, Signing)
		if next, ok := s.NextChange(); ok {
			t.Errorf("a ring at rest changes at %s", next)
		}
	})
}

func TestImmediateRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond)
		s := serve(t, &memory{}, boundtoken.ES256, 0)
		old := s.mint(time.Hour)
		k := s.rotate(Rotation{Immediate: true})
		if k.Type != ECDSAP256 || k.State != Signing || !k.SignsFrom.Equal(k.Published) {
			t.Errorf("%+v", k)
		}
		s.want("at once", old, Retired, k.ID, Signing)
	})
}

// A key that signed nothing has no token to wait for.
func TestUnusedKeyGoesWhenItRetires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &memory{}, boundtoken.ES256, 0)
		k := s.rotate(Rotation{Immediate: true})
		time.Sleep(time.Second)
		synctest.Wait()
		s.want("after a second", k.ID, Signing)
	})
}

func TestRotationDuringARotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &memory{}, boundtoken.ES256, 0)
		old := s.mint(time.Hour)
		first := s.rotate(Rotation{})
		_, _, err := s.Rotate(t.Context(), Rotation{})
		var pending *PendingError
		if !errors.As(err, &pending) || pending.Key.ID != first.ID {
			t.Errorf("a second rotation: %v", err)
		}
		s.want("after the refusal", old, Signing, first.ID, Upcoming)
		second := s.rotate(Rotation{Immediate: true})
		s.want("overtaken", old, Retired, second.ID, Signing)
		if next, _ := s.NextChange(); !next.After(first.SignsFrom) {
			t.Errorf("the key that is gone would change something at %s", next)
		}
		// One whose time has come is no obstacle, even if nobody has noticed yet.
		third := s.rotate(Rotation{})
		state := s.view.Load().state.clone()
		k, err := newKey(ECDSAP256)
		if err != nil {
			t.Fatal(err)
		}
		if err := state.rotate(k, third.SignsFrom, false); err != nil || state.in(Signing).ID != third.ID || state.in(Upcoming).ID != k.ID {
			t.Errorf("rotation when another is due: %v", err)
		}
	})
}

func TestRehearsal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &memory{}
		s := serve(t, b, boundtoken.ES256, 0)
		all, rev, _ := s.List(t.Context())
		for _, want := range []Rotation{{}, {Immediate: true}, {Type: RSA4096}} {
			k, err := Rehearse(all, want, time.Now())
			kind, state := want.Type, Upcoming
			if kind == "" {
				kind = ECDSAP256
			}
			if want.Immediate {
				state = Signing
			}
			if err != nil || k.Type != kind || k.Algorithm != kind.Algorithm() || k.State != state || k.ID != "" {
				t.Errorf("%+v: %+v, %v", want, k, err)
			}
		}
		s.rotate(Rotation{})
		all, after, _ := s.List(t.Context())
		var pending *PendingError
		if _, err := Rehearse(all, Rotation{}, time.Now()); !errors.As(err, &pending) || after != rev+1 || all[0].State != Signing {
			t.Errorf("during a rotation: %v; revision %d after %d", err, after, rev)
		}
	})
}

func TestWithdrawal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &memory{}, boundtoken.ES256, 0)
		old := s.mint(time.Hour)
		signing := s.rotate(Rotation{Immediate: true}).ID
		upcoming := s.rotate(Rotation{}).ID
		yes := func(Key, int64) error { return nil }
		no := errors.New("not this one")
		for _, tc := range []struct {
			id    string
			allow func(Key, int64) error
			want  error
		}{
			{"other", yes, ErrNotFound}, {signing, yes, ErrSigns}, {old, func(Key, int64) error { return no }, no},
		} {
			if err := s.Withdraw(t.Context(), tc.id, tc.allow); !errors.Is(err, tc.want) {
				t.Errorf("withdrawing %s: %v, want %v", tc.id, err, tc.want)
			}
		}
		s.want("after the refusals", old, Retired, signing, Signing, upcoming, Upcoming)
		for _, id := range []string{old, upcoming} {
			asked := ""
			if err := s.Withdraw(t.Context(), id, func(k Key, _ int64) error { asked = k.ID; return nil }); err != nil || asked != id {
				t.Errorf("withdrawing %s: %v, asked about %q", id, err, asked)
			}
			if _, set := s.ids(t); len(set.Find(id)) != 0 { // before anything else happens
				t.Errorf("%s is accepted after it was withdrawn", id)
			}
		}
		s.want("after both", signing, Signing)
		if _, ok := s.NextChange(); ok {
			t.Error("something is left to happen")
		}
	})
}

// Steps are taken when the clock passes their time by a jump, and are not taken back.
func TestJumpsOfTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &memory{}, boundtoken.ES256, 0)
		old := s.mint(time.Hour)
		k := s.rotate(Rotation{})
		s.jump(-10 * time.Hour)
		s.want("after a jump back", old, Signing, k.ID, Upcoming)
		time.Sleep(2 * time.Hour)
		s.want("two hours later", old, Signing, k.ID, Upcoming)
		s.jump(8*time.Hour + time.Minute)
		s.want("when the clock has caught up", old, Signing, k.ID, Upcoming)
		s.jump(time.Hour)
		s.want("after a jump over its time", old, Retired, k.ID, Signing)
		s.jump(-5 * time.Hour)
		s.want("after another jump back", old, Retired, k.ID, Signing)
		if by := s.mint(time.Hour); by != k.ID {
			t.Errorf("%s signs", by)
		}
		s.jump(40 * time.Hour)
		s.want("after the end of its tokens", k.ID, Signing)
		s.jump(-40 * time.Hour)
		s.want("forgotten is forgotten", k.ID, Signing)
	})
}

func TestBoundOfTokensIsStoredBeforeTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &memory{}
		s := serve(t, b, boundtoken.ES256, 0)
		covered := func(end time.Time) {
			t.Helper()
			data, _ := b.contents()
			stored, err := decode(data, time.Now())
			if err != nil || stored.in(Signing).LastEnd.Before(end) {
				t.Fatalf("the stored bound does not cover %s: %+v, %v", end, stored.in(Signing).Key, err)
			}
		}
		_, before := b.contents()
		start := time.Now()
		for range 10 * 24 * 4 {
			s.mint(time.Hour)
			covered(time.Now().Add(time.Hour))
			time.Sleep(15 * time.Minute)
		}
		_, stores := b.contents()
		if days := int(time.Since(start).Hours() / 24); stores-before > days {
			t.Errorf("%d stores in %d days", stores-before, days)
		}
		for _, life := range []time.Duration{365 * 24 * time.Hour, longestLife} {
			s.mint(life)
			covered(time.Now().Add(life))
		}
		if _, err := s.Signer(t.Context(), time.Time{}); err != nil {
			t.Fatal(err)
		}
		k, _ := s.Signing(t.Context())
		covered(Never)
		if !k.LastEnd.Equal(Never) {
			t.Errorf("a token without end: %+v", k)
		}
		k2 := s.rotate(Rotation{Immediate: true})
		s.jump(150 * 365 * 24 * time.Hour)
		s.want("after 150 years", k.ID, Retired, k2.ID, Signing)
	})
}

func TestFullRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &memory{}
		s := serve(t, b, boundtoken.ES256, 0)
		for range MaxKeys - 1 {
			s.mint(time.Hour)
			s.rotate(Rotation{Immediate: true})
		}
		s.mint(time.Hour)
		if _, _, err := s.Rotate(t.Context(), Rotation{Immediate: true}); !errors.Is(err, ErrTooMany) {
			t.Errorf("the key that is one too many: %v", err)
		}
		before, _ := s.ids(t)
		s.stop()
		s = serve(t, b, boundtoken.ES384, 0) // a flag that cannot be followed
		if after, set := s.ids(t); after != before || len(set.Find("")) != MaxKeys {
			t.Errorf("signs with %s of %d keys, with %s before", after, len(set.Find("")), before)
		}
	})
}
