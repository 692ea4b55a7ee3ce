package answers

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/server/filters"
	testingclock "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
)

// TestWhoWaitsForItsClientGivesWay has requests with a seat write to clients that do not
// read, and read from clients that do not send.
func TestWhoWaitsForItsClientGivesWay(t *testing.T) {
	c := testingclock.NewFakeClock(time.Now())
	r := NewReadings(func(*http.Request) bool { return false }, clock.WallOf(c))
	var mu sync.Mutex
	ended := map[string]error{}
	inside := make(chan struct{}, 10)
	h := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		q := req.URL.Query()
		if level := q.Get("level"); level != "" {
			defer Sit(req.Context(), level, q.Get("account"))()
		}
		inside <- struct{}{}
		var err error
		if req.Method == http.MethodPost {
			_, err = io.ReadAll(req.Body)
		}
		for err == nil {
			_, err = w.Write(make([]byte, 1<<20))
		}
		mu.Lock()
		defer mu.Unlock()
		ended[req.Method+q.Get("level")+q.Get("account")] = err
	})
	info := &request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	server := httptest.NewUnstartedServer(r.Wrap(h, info, filters.BasicLongRunningRequestCheck(sets.NewString("watch"), sets.NewString("log"))))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	ask := func(method, query string) {
		body, never := io.Pipe()
		t.Cleanup(func() { never.Close() })
		var sent io.Reader
		if method == http.MethodPost {
			sent = body
		}
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/api/v1/namespaces/n/configmaps?"+query, sent)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if resp, err := server.Client().Do(req); err == nil {
				t.Cleanup(func() { resp.Body.Close() })
			}
		}()
		<-inside
	}
	for _, query := range []string{"level=a&account=x", "level=a&account=y", "level=b&account=x", ""} {
		ask("GET", query)
		ask("POST", query)
	}
	all := func(want ...string) {
		t.Helper()
		deadline := time.Now().Add(5 * time.Second)
		for {
			mu.Lock()
			n, missing := len(ended), []string{}
			for _, name := range want {
				if ended[name] == nil {
					missing = append(missing, name)
				}
			}
			mu.Unlock()
			if n == len(want) && len(missing) == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d have ended, %v have not", n, missing)
			}
			time.Sleep(time.Millisecond)
		}
	}
	time.Sleep(100 * time.Millisecond) // until nothing more fits into the buffers
	c.Step(stalledOther - time.Millisecond)
	r.GiveWay("a", "y")
	time.Sleep(50 * time.Millisecond)
	all()
	c.Step(time.Millisecond)
	r.GiveWay("a", "y")
	all("GETax", "POSTax")
	c.Step(stalledReader)
	r.GiveWay("a", "y")
	all("GETax", "POSTax", "GETay", "POSTay")
	if err := ended["GETax"]; errors.Is(err, io.EOF) {
		t.Errorf("a response that is cut ends with %v", err)
	}
}

// TestAByteNowAndThenIsNoProgress has clients move a little, what they have to, and much at
// once before they fall silent.
func TestAByteNowAndThenIsNoProgress(t *testing.T) {
	c := testingclock.NewFakeClock(time.Unix(1, 0))
	moves := func(r *reading, took time.Duration, n int) (slow bool) {
		r.starved.Store(c.Now().UnixNano())
		c.Step(took)
		slow = r.slow(&r.starved, c.Now(), stalledOther)
		r.went(&r.starved, c.Now(), n)
		return slow
	}
	trickle, steady, burst := &reading{}, &reading{}, &reading{}
	if moves(trickle, 1900*time.Millisecond, 1) {
		t.Error("it was silent for less than it may be")
	}
	if !moves(trickle, 1900*time.Millisecond, 1) {
		t.Error("a byte keeps the seat for two seconds more")
	}
	for range 20 {
		if moves(steady, 1900*time.Millisecond, 2*steadyBytes) {
			t.Fatal("who goes on is slow")
		}
	}
	moves(burst, time.Millisecond, 3<<20)
	if !moves(burst, stalledOther, 1) {
		t.Error("what came at once is credit for a silence")
	}
}
