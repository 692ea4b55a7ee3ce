package keys

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	baseclock "k8s.io/utils/clock"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/clock"
)

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
		if two == set || len(two.Find("")) != 2 {
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
