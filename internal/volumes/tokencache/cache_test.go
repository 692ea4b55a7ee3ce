package tokencache_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/volumes/fakeapi"
	"laterna.dev/laterna/internal/volumes/tokencache"
)

var start = time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)

// bench is a cache over an issuer that lives by the same clock.
type bench struct {
	*tokencache.Cache
	t     *testing.T
	api   *fakeapi.Server
	clock *testclock.FakeClock
	wall  *testclock.FakeClock // stands still
	told  chan tokencache.Request

	mu     sync.Mutex
	down   error
	issued []*authenticationv1.TokenRequest
	lag    time.Duration // how far the issuer's clock is behind
	most   int64         // longest life given, 0 for any
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, api: fakeapi.New(t), clock: testclock.NewFakeClock(start), wall: testclock.NewFakeClock(start), told: make(chan tokencache.Request, 100)}
	b.api.Token = b.issue
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	b.Cache = tokencache.New(ctx, tokencache.Config{Client: b.api.Client(), Clock: clock.APIOf(b.clock), Wall: clock.WallOf(b.wall), Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(b.Subscribe(func(r tokencache.Request) { b.told <- r }))
	return b
}

func (b *bench) issue(namespace, account string, r *authenticationv1.TokenRequest) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down != nil {
		return b.down
	}
	b.issued = append(b.issued, r.DeepCopy())
	if life := *r.Spec.ExpirationSeconds; b.most > 0 && life > b.most {
		r.Spec.ExpirationSeconds = &b.most
	}
	r.Status.Token = fmt.Sprintf("%s/%s/%d", namespace, account, len(b.issued))
	r.Status.ExpirationTimestamp = metav1.NewTime(b.clock.Now().Add(-b.lag).Add(time.Duration(*r.Spec.ExpirationSeconds) * time.Second))
	return nil
}

func (b *bench) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

func (b *bench) requests() int { return b.api.Count("token") }

func (b *bench) want(r tokencache.Request, text string) {
	b.t.Helper()
	token, err := b.Token(b.t.Context(), r)
	if err != nil || string(token.Bytes()) != text {
		b.t.Errorf("token %s, %v; want %q", token.Bytes(), err, text)
	}
}

// await waits until the cache tells of a new token.
func (b *bench) await() tokencache.Request {
	b.t.Helper()
	select {
	case r := <-b.told:
		return r
	case <-time.After(10 * time.Second):
		b.t.Fatal("nothing was told")
		return tokencache.Request{}
	}
}

func (b *bench) quiet() {
	b.t.Helper()
	select {
	case r := <-b.told:
		b.t.Errorf("told of %s", r)
	case <-time.After(50 * time.Millisecond):
	}
}

// eventually steps the clock until done.
func (b *bench) eventually(step time.Duration, done func() bool) {
	b.t.Helper()
	for range 500 {
		if done() {
			return
		}
		b.clock.Step(step)
		time.Sleep(5 * time.Millisecond)
	}
	b.t.Fatal("did not happen")
}

func request(life int64) tokencache.Request {
	return tokencache.Request{Namespace: "ns", ServiceAccount: "sa", Audience: "vault", ExpirationSeconds: life, PodName: "p", PodUID: "u"}
}

func TestRequest(t *testing.T) {
	b := newBench(t)
	r := request(7200)
	b.want(r, "ns/sa/1")
	b.await()
	b.want(r, "ns/sa/1")
	b.want(tokencache.Request{Namespace: "ns", ServiceAccount: "sa", ExpirationSeconds: 3600, PodName: "p", PodUID: "u"}, "ns/sa/2")
	want := authenticationv1.TokenRequestSpec{Audiences: []string{"vault"}, ExpirationSeconds: &r.ExpirationSeconds,
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: "p", UID: "u"}}
	if got := b.issued[0].Spec; got.String() != want.String() {
		t.Errorf("spec\n%s, want\n%s", got.String(), want.String())
	}
	if got := b.issued[1].Spec.Audiences; len(got) != 0 {
		t.Errorf("audiences %q", got)
	}
}

func TestRefreshTimes(t *testing.T) {
	for _, tc := range []struct {
		life    int64
		refresh time.Duration
	}{
		{600, 480 * time.Second}, {3600, 48 * time.Minute}, {3607, 2886 * time.Second}, {7200, 96 * time.Minute},
		{86400, 69120 * time.Second}, {108000, 24 * time.Hour}, {1 << 32, 24 * time.Hour},
	} {
		b := newBench(t)
		b.want(request(tc.life), "ns/sa/1")
		b.await()
		b.clock.Step(tc.refresh - 10*time.Second - time.Millisecond)
		b.quiet()
		b.clock.Step(10*time.Second + time.Millisecond)
		b.await()
		b.want(request(tc.life), "ns/sa/2")
		if n := b.requests(); n != 2 {
			t.Errorf("%d s: %d requests", tc.life, n)
		}
	}
}

func TestShortenedLife(t *testing.T) {
	b := newBench(t)
	b.most = 3600
	b.want(request(7200), "ns/sa/1")
	b.await()
	b.clock.Step(48 * time.Minute)
	b.await()
	b.want(request(7200), "ns/sa/2")
}

func TestOneRequestForManyCallers(t *testing.T) {
	b := newBench(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { b.want(request(3600), "ns/sa/1") })
	}
	wg.Wait()
	if n := b.requests(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestFirstFetchFails(t *testing.T) {
	b := newBench(t)
	b.down = apierrors.NewNotFound(corev1.Resource("serviceaccounts"), "sa")
	_, err := b.Token(t.Context(), request(3600))
	if err == nil || err.Error() != `failed to fetch token: serviceaccounts "sa" not found` || !apierrors.IsNotFound(errors.Unwrap(err)) {
		t.Errorf("error %v", err)
	}
	if _, _, known := b.Peek(request(3600)); known {
		t.Error("Peek knows a token")
	}
	b.set(func() { b.down = nil })
	b.want(request(3600), "ns/sa/1")
}

func TestRefreshFails(t *testing.T) {
	b := newBench(t)
	r := request(600)
	b.want(r, "ns/sa/1")
	b.await()
	b.set(func() { b.down = apierrors.NewServiceUnavailable("away") })
	b.clock.Step(480 * time.Second)
	b.eventually(time.Second, func() bool { return b.requests() >= 4 })
	b.want(r, "ns/sa/1") // still valid
	b.quiet()

	b.eventually(20*time.Second, func() bool { return b.clock.Now().After(start.Add(601 * time.Second)) })
	b.eventually(time.Second, func() bool { _, err, _ := b.Peek(r); return err != nil })
	b.eventually(time.Second, func() bool { return len(b.told) > 0 }) // with the next try
	b.await()
	_, err := b.Token(t.Context(), r)
	if err == nil || !strings.HasPrefix(err.Error(), `token "sa"/"ns"/"vault"/600/pod "p" (u) expired and refresh failed: `) || !strings.Contains(err.Error(), "away") {
		t.Errorf("error %v", err)
	}
	b.set(func() { b.down = nil })
	b.eventually(time.Second, func() bool { _, err, _ := b.Peek(r); return err == nil })
	b.want(r, "ns/sa/2")
	if n := b.requests(); n > 60 {
		t.Errorf("%d requests: no pause between tries", n)
	}
}

func TestClockJumps(t *testing.T) {
	b := newBench(t)
	r := request(7200)
	b.want(r, "ns/sa/1")
	b.await()
	b.clock.Step(24 * time.Hour)
	b.await()
	b.want(r, "ns/sa/2")

	b.clock.SetTime(start.Add(-time.Hour)) // back before the token was issued
	b.want(r, "ns/sa/3")
}

// TestIssuerBehind has an issuer whose clock has not jumped yet: its tokens are due
// at once, which must not become a loop.
func TestIssuerBehind(t *testing.T) {
	b := newBench(t)
	b.lag = 24 * time.Hour
	if _, err := b.Token(t.Context(), request(7200)); err != nil {
		t.Fatal(err)
	}
	b.await()
	time.Sleep(50 * time.Millisecond)
	if n := b.requests(); n > 2 {
		t.Errorf("%d requests without time passing", n)
	}
	b.set(func() { b.lag = 0 })
	b.eventually(100*time.Millisecond, func() bool {
		token, _, _ := b.Peek(request(7200))
		return token.Issued.After(start.Add(-time.Second))
	})
}

func TestRenew(t *testing.T) {
	b := newBench(t)
	other := request(3600)
	other.PodUID = "other"
	b.want(request(3600), "ns/sa/1")
	b.want(other, "ns/sa/2")
	b.await()
	b.await()
	mark := b.Serial()
	if n := b.Renew(func(r tokencache.Request, token tokencache.Token) bool {
		return r.PodUID == "u" && token.Serial() <= mark
	}); n != 1 {
		t.Errorf("%d tokens are to be replaced", n)
	}
	if r := b.await(); r != request(3600) {
		t.Errorf("told of %s", r)
	}
	b.want(request(3600), "ns/sa/3")
	b.want(other, "ns/sa/2")
	if token, _, _ := b.Peek(request(3600)); token.Serial() <= mark {
		t.Errorf("serial %d, asked for after %d", token.Serial(), mark)
	}
	if n := b.Renew(func(_ tokencache.Request, token tokencache.Token) bool { return token.Serial() <= mark-2 }); n != 0 {
		t.Errorf("%d tokens are to be replaced", n)
	}
}

func TestDropPod(t *testing.T) {
	b := newBench(t)
	b.want(request(600), "ns/sa/1")
	b.await()
	b.DropPod("u")
	b.clock.Step(time.Hour)
	b.quiet()
	if _, _, known := b.Peek(request(600)); known {
		t.Error("still known")
	}
	if n := b.requests(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestTokensAreNotPrinted(t *testing.T) {
	b := newBench(t)
	token, err := b.Token(t.Context(), request(3600))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", token, "all", []any{token})
	text, _ := json.Marshal(token)
	for _, out := range []string{fmt.Sprint(token), fmt.Sprintf("%v %+v %#v %s", token, token, token, token), log.String(), string(text)} {
		if strings.Contains(out, "ns/sa") {
			t.Errorf("printed: %s", out)
		}
	}
}
