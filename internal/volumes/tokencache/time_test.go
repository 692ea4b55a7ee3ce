package tokencache_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	baseclock "k8s.io/utils/clock"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/volumes/tokencache"
)

// bubble is a cache and an issuer in the time of a synctest bubble.
type bubble struct {
	*tokencache.Cache
	begin time.Time
	api   kubernetes.Interface

	mu   sync.Mutex
	asks []time.Duration // since begin
}

func newBubble(ctx context.Context) *bubble {
	b := &bubble{begin: time.Now()}
	api := fake.NewClientset()
	api.PrependReactor("create", "serviceaccounts", func(a clienttesting.Action) (bool, runtime.Object, error) {
		r := a.(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenRequest).DeepCopy()
		b.mu.Lock()
		b.asks = append(b.asks, time.Since(b.begin))
		n := len(b.asks)
		b.mu.Unlock()
		r.Status.Token = fmt.Sprint("token-", n)
		r.Status.ExpirationTimestamp = metav1.NewTime(time.Now().Add(time.Duration(*r.Spec.ExpirationSeconds) * time.Second))
		return true, r, nil
	})
	b.api = api
	b.Cache = tokencache.New(ctx, tokencache.Config{Client: api, Clock: clock.APIOf(clock.Real()), Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)})
	return b
}

// since returns how many were asked for from then on, and forgets them.
func (b *bubble) since() []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	asks := b.asks
	b.asks = nil
	return asks
}

func podOf(i int, life int64) tokencache.Request {
	r := request(life)
	r.PodName, r.PodUID = fmt.Sprint("p", i), types.UID(fmt.Sprint("u", i))
	return r
}

// TestRotationIsToTheSecond looks at many tokens of every life: each is replaced at 80 %
// of its life or after 24 hours, at most 10 s before, never after.
func TestRotationIsToTheSecond(t *testing.T) {
	const many, jitter = 300, 10 * time.Second
	for life, due := range map[int64]time.Duration{
		600: 480 * time.Second, 3600: 48 * time.Minute, 3607: 2886 * time.Second, 7200: 96 * time.Minute,
		86400: 69120 * time.Second, 107999: 86400 * time.Second, 108000: 24 * time.Hour, 108001: 24 * time.Hour, 1 << 32: 24 * time.Hour,
	} {
		t.Run(fmt.Sprint(life), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				b := newBubble(ctx)
				for i := range many {
					if _, err := b.Token(ctx, podOf(i, life)); err != nil {
						t.Fatal(err)
					}
				}
				b.since()
				time.Sleep(due - jitter - time.Nanosecond)
				synctest.Wait()
				if n := len(b.since()); n != 0 {
					t.Errorf("%d tokens are replaced more than %s early", n, jitter)
				}
				time.Sleep(jitter + time.Nanosecond)
				synctest.Wait()
				asks := b.since()
				if len(asks) != many {
					t.Fatalf("%d of %d tokens are replaced at %s", len(asks), many, due)
				}
				if spread := asks[many-1] - asks[0]; spread < jitter*8/10 {
					t.Errorf("%d tokens are replaced within %s", many, spread)
				}
			})
		})
	}
}

// TestAThousandPodsDoNotRotateAtOnce counts what the API is asked for, second by second,
// after 80 % of the life of tokens that were all issued in the same instant, over
// several lives.
func TestAThousandPodsDoNotRotateAtOnce(t *testing.T) {
	const pods, life = 1000, 7200
	const due, jitter = life * 8 / 10 * time.Second, 10
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := newBubble(ctx)
		for i := range pods {
			if _, err := b.Token(ctx, podOf(i, life)); err != nil {
				t.Fatal(err)
			}
		}
		b.since()
		for round := 1; round <= 3; round++ {
			// In round n the jitter of n lives has added up.
			end := time.Duration(round) * due
			time.Sleep(time.Until(b.begin.Add(end)))
			synctest.Wait()
			perSecond := map[int]int{}
			asks := b.since()
			for _, at := range asks {
				before := end - at
				if before < 0 || before > time.Duration(round*jitter)*time.Second {
					t.Fatalf("round %d: a token is replaced %s before its time", round, before)
				}
				perSecond[int(before/time.Second)]++
			}
			most := 0
			for _, n := range perSecond {
				most = max(most, n)
			}
			// 100 are expected in a second of the first round, with a deviation of 9.5.
			if len(asks) != pods || most > pods/jitter*16/10 || len(perSecond) < jitter {
				t.Errorf("round %d: %d requests in %d seconds, %d in the busiest", round, len(asks), len(perSecond), most)
			}
			t.Logf("round %d: %d requests in %d seconds, at most %d in one", round, len(asks), len(perSecond), most)
		}
	})
}

// TestClockIsMovedBackAndForth moves the issuer's and the cache's clock by an offset, as
// a test clock does, and asks for tokens at once and by timer.
func TestClockIsMovedBackAndForth(t *testing.T) {
	b := newBench(t)
	r := request(7200)
	b.want(r, "ns/sa/1")
	b.await()
	for i, move := range []struct {
		by      time.Duration
		renewed bool
	}{
		{-55 * time.Second, false}, // within the leeway of those who verify
		{-10 * time.Second, true},  // 65 s before its issue
		{95 * time.Minute, false},
		{2 * time.Minute, true},
		{-24 * time.Hour, true},
		{48 * time.Hour, true},
	} {
		before := b.requests()
		b.clock.SetTime(b.clock.Now().Add(move.by))
		if _, err := b.Token(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if renewed := b.requests() > before; renewed != move.renewed {
			t.Errorf("move %d by %s: renewed %v, want %v", i, move.by, renewed, move.renewed)
		}
	}
}

// TestTokensFromTheFutureAreReplaced sets the clock back without anybody asking for a
// token: no timer tells.
func TestTokensFromTheFutureAreReplaced(t *testing.T) {
	b := newBench(t)
	long := request(3 * 86400)
	b.want(request(7200), "ns/sa/1")
	b.want(long, "ns/sa/2")
	b.await()
	b.await()
	pass := func(d time.Duration) {
		t.Helper()
		for !b.wall.HasWaiters() {
			time.Sleep(time.Millisecond)
		}
		b.wall.Step(d)
	}
	pass(5 * time.Second) // the clock stands still meanwhile: no token is due for that
	b.quiet()
	b.clock.SetTime(start.Add(-time.Hour))
	pass(5 * time.Second)
	b.await()
	b.await()
	if n := b.requests(); n != 4 {
		t.Errorf("%d requests for two tokens and their successors", n)
	}
}

// TestTimersFollowAMachineThatSlept has the clock ahead of what timers have counted.
func TestTimersFollowAMachineThatSlept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var slept atomic.Int64
		b := newBubble(ctx)
		b.Cache = tokencache.New(ctx, tokencache.Config{Client: b.api, Clock: clock.APIOf(sleeper{slept: &slept}), Wall: clock.Real(), Log: slog.New(slog.DiscardHandler)})
		if _, err := b.Token(ctx, podOf(0, 7200)); err != nil {
			t.Fatal(err)
		}
		b.since()
		time.Sleep(time.Hour)
		slept.Store(int64(30 * time.Minute))
		time.Sleep(5 * time.Minute) // 95 minutes by the clock
		synctest.Wait()
		if n := len(b.since()); n != 0 {
			t.Errorf("%d tokens are replaced before it is time", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(b.since()); n != 1 {
			t.Errorf("%d tokens are replaced after 96 minutes by the clock, of which the machine slept 30", n)
		}
	})
}

// sleeper is a clock whose timers do not count the time that the machine slept.
type sleeper struct {
	baseclock.RealClock
	slept *atomic.Int64
}

func (s sleeper) Now() time.Time { return s.RealClock.Now().Add(time.Duration(s.slept.Load())) }

// TestSkewBetweenIssuerAndNode has the node's clock behind the issuer's, and ahead of it:
// the token is kept, and replaced when the node's clock says so.
func TestSkewBetweenIssuerAndNode(t *testing.T) {
	for _, skew := range []time.Duration{-time.Hour, -65 * time.Second, -55 * time.Second, 55 * time.Second, 65 * time.Second, time.Hour} {
		b := newBench(t)
		b.lag = -skew
		r := request(7200)
		b.want(r, "ns/sa/1")
		b.await()
		due := 96*time.Minute + skew
		b.clock.Step(due - 11*time.Second)
		b.quiet()
		b.want(r, "ns/sa/1")
		b.clock.Step(11 * time.Second)
		b.await()
		b.want(r, "ns/sa/2")
		if n := b.requests(); n != 2 {
			t.Errorf("issuer ahead by %s: %d requests", skew, n)
		}
	}
}
