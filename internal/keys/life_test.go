package keys

import (
	"bytes"
	"context"
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
	for _, k := range set.Lookup("") {
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
			if _, set := s.ids(t); len(set.Lookup(id)) != 0 { // before anything else happens
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

func TestServersShareTheLifeOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &memory{}
		s1, s2 := serve(t, b, boundtoken.ES256, 0), serve(t, b, boundtoken.ES256, 0)
		old := s1.mint(time.Hour)
		k := s2.rotate(Rotation{})
		_, before := b.contents()
		s1.want("on the other server", old, Signing, k.ID, Upcoming)
		time.Sleep(MaxAge + publishing + time.Second)
		synctest.Wait()
		for _, s := range []*server{s1, s2} {
			s.want("after activation", old, Retired, k.ID, Signing)
		}
		if _, stores := b.contents(); stores != before+1 {
			t.Errorf("%d stores for one step", stores-before)
		}
		if err := s1.Withdraw(t.Context(), old, func(Key, int64) error { return nil }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s2.want("after the other server's withdrawal", k.ID, Signing)
	})
}

// A server that does not hear of changes signs nothing that outlives the bound of
// the key it still uses.
func TestDeafServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &memory{}
		s1, s2 := serve(t, b, boundtoken.ES256, 0), serve(t, b, boundtoken.ES256, 0)
		old := s1.mint(time.Hour)
		synctest.Wait()
		b.mu.Lock()
		b.deaf = true
		b.mu.Unlock()
		k := s1.rotate(Rotation{Immediate: true})
		if by := s2.mint(time.Hour); by != old {
			t.Errorf("%s signs what the old key may still sign, want %s", by, old)
		}
		all, _, _ := s1.List(t.Context())
		if by := s2.mint(all[0].LastEnd.Sub(time.Now()) + time.Second); by != k.ID {
			t.Errorf("%s signs beyond the bound, want %s", by, k.ID)
		}
		s2.want("now it knows", old, Retired, k.ID, Signing)
		k2 := s1.rotate(Rotation{})
		s2.want("it hears nothing", old, Retired, k.ID, Signing)
		if err := s2.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		s2.want("but it can ask", old, Retired, k.ID, Signing, k2.ID, Upcoming)
		k3 := s1.rotate(Rotation{Immediate: true})
		s2.Confirm(t.Context())
		s2.want("or confirm", old, Retired, k.ID, Retired, k3.ID, Signing)
		k4 := s1.rotate(Rotation{})
		s2.Confirm(t.Context())
		s2.want("but not again at once", old, Retired, k.ID, Retired, k3.ID, Signing)
		time.Sleep(confirmRest)
		s2.Confirm(t.Context())
		s2.want("a little later", old, Retired, k.ID, Retired, k3.ID, Signing, k4.ID, Upcoming)
	})
}

func TestCrashesBetweenSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &memory{}
		s := serve(t, b, boundtoken.ES256, 0)
		old := s.mint(time.Hour)
		k := s.rotate(Rotation{})
		s.stop()
		time.Sleep(MaxAge / 2)
		s = serve(t, b, boundtoken.ES256, 0)
		s.want("after a restart", old, Signing, k.ID, Upcoming)
		s.stop()
		time.Sleep(MaxAge)
		s = serve(t, b, boundtoken.ES256, 0)
		s.want("after a restart beyond its time", old, Retired, k.ID, Signing)
		s.stop()
		time.Sleep(48 * time.Hour)
		s = serve(t, b, boundtoken.ES256, 0)
		s.want("after a restart beyond the end of the last token", k.ID, Signing)
		// The store is away when a step is due.
		k2 := s.rotate(Rotation{})
		b.fail(errors.New("no leader"))
		time.Sleep(2 * MaxAge)
		s.want("without the store", k.ID, Signing, k2.ID, Upcoming)
		b.fail(nil)
		time.Sleep(2 * retryAfter)
		synctest.Wait()
		all, _, _ := s.List(t.Context())
		if signing, _ := s.ids(t); signing != k2.ID {
			t.Errorf("the step was forgotten: %+v", all)
		}
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

func TestUnreachableStoreStopsOnlyLongTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &memory{}
		s := serve(t, b, boundtoken.ES256, 0)
		s.mint(time.Hour)
		synctest.Wait()
		b.fail(errors.New("no leader"))
		s.mint(time.Hour)
		if _, err := s.Signer(t.Context(), time.Now().Add(100*time.Hour)); err == nil {
			t.Error("a token beyond the bound is signed although the store cannot be told")
		}
		// Whoever waits for the turn gives up with its context.
		s.turn <- struct{}{}
		defer func() { <-s.turn }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Signer(ctx, time.Now().Add(100*time.Hour)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for the turn: %v", err)
		}
	})
}

// The flag asks once: it begins a rotation, and does not undo those of others.
func TestAlgorithmOfTheFlag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &memory{}
		s := serve(t, b, boundtoken.ES256, 0)
		old := s.mint(time.Hour)
		restart := func(alg boundtoken.Algorithm) {
			s.stop()
			s = serve(t, b, alg, 0)
		}
		next := func() Key {
			t.Helper()
			all, _, _ := s.List(t.Context())
			return all[len(all)-1]
		}
		restart(boundtoken.ES384)
		k := next()
		s.want("another algorithm", old, Signing, k.ID, Upcoming)
		if k.Type != ECDSAP384 {
			t.Errorf("%+v", k)
		}
		restart(boundtoken.ES384)
		s.want("the same once more", old, Signing, k.ID, Upcoming)
		restart(boundtoken.ES512)
		k2 := next()
		s.want("a third one supersedes", old, Signing, k2.ID, Upcoming)
		restart(boundtoken.ES256)
		s.want("back before it signed", old, Signing)
		k3 := s.rotate(Rotation{Type: ECDSAP521, Immediate: true})
		restart(boundtoken.ES256)
		s.want("rotated by hand since", old, Retired, k3.ID, Signing)
		restart(boundtoken.RS256)
		k4 := next()
		time.Sleep(2 * MaxAge)
		synctest.Wait()
		s.want("and after the time", old, Retired, k4.ID, Signing)
		if k4.Type != RSA2048 {
			t.Errorf("%+v", k4)
		}
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
		if after, set := s.ids(t); after != before || len(set.Lookup("")) != MaxKeys {
			t.Errorf("signs with %s of %d keys, with %s before", after, len(set.Lookup("")), before)
		}
	})
}

// Before the clock shows the time of the system no step is taken by it.
func TestUnsettledClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &memory{}
		s := serve(t, b, boundtoken.ES256, -10*time.Hour)
		old := s.mint(time.Hour)
		k := s.rotate(Rotation{})
		s.stop()
		settled := make(chan struct{})
		c := clock.New(baseclock.RealClock{}) // ten hours ahead until it knows
		s = &server{t: t, clock: c, Ring: newRing(t, boundtoken.ES384, func(cfg *Config) { cfg.Clock, cfg.Settled = c, settled })}
		run(t, s.Ring, b)
		time.Sleep(time.Minute)
		s.want("not settled", old, Signing, k.ID, Upcoming)
		s.jump(-10 * time.Hour)
		close(settled)
		synctest.Wait()
		all, _, _ := s.List(t.Context())
		s.want("settled, and the flag heeded", old, Signing, all[1].ID, Upcoming)
		if all[1].Type != ECDSAP384 {
			t.Errorf("%+v", all[1])
		}
		time.Sleep(2 * MaxAge)
		synctest.Wait()
		s.want("in time", old, Retired, all[1].ID, Signing)
	})
}

func TestSubscribersHearOfChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, &memory{}, boundtoken.ES256, 0)
		s.mint(time.Hour)
		synctest.Wait()
		changed, cancel := s.Subscribe()
		heard := func() bool {
			synctest.Wait()
			select {
			case <-changed:
				return true
			default:
				return false
			}
		}
		_, set := s.ids(t)
		if s.mint(time.Hour); heard() {
			t.Error("a value without a change")
		}
		if s.mint(48 * time.Hour); !heard() {
			t.Error("no value for another bound")
		}
		s.rotate(Rotation{})
		s.rotate(Rotation{Immediate: true})
		if !heard() || heard() {
			t.Error("want one value for two changes")
		}
		_, two := s.ids(t)
		if two == set || len(two.Lookup("")) != 2 {
			t.Error("the set is the old one")
		}
		s.mint(48 * time.Hour)
		if _, again := s.ids(t); again != two {
			t.Error("the set is another one although no key came or went")
		}
		heard() // of the bound
		cancel()
		if s.rotate(Rotation{Immediate: true}); heard() {
			t.Error("a value after cancel")
		}
	})
}
