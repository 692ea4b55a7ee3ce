package projections_test

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/webui/projections"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func ask(method, path string, header ...string) *http.Response {
	system := clock.New(clocktesting.NewFakeClock(now))
	system.SetOffset(25 * time.Hour)
	h := projections.New(projections.Config{Clock: clock.APIOf(system), Wall: clock.WallOf(clocktesting.NewFakeClock(now))})
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(b.String(), "\r\n\r\n")
	return text
}

func TestEveryAnswerIsHeldToThePolicy(t *testing.T) {
	for _, path := range []string{"/projections", "/projections/", "/projections/main.js", "/projections/nothing", "/projections/clock"} {
		h := ask("GET", path).Header
		p := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(p, "default-src 'none'; script-src 'self'; style-src 'self'; ") || strings.Contains(p, "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestPathsAnswer(t *testing.T) {
	for path, want := range map[string]struct {
		code int
		kind string
	}{
		"/projections/":                {200, "text/html; charset=utf-8"},
		"/projections/index.html":      {200, "text/html; charset=utf-8"},
		"/projections/main.js":         {200, "text/javascript; charset=utf-8"},
		"/projections/base.css":        {200, "text/css; charset=utf-8"},
		"/projections/icon.svg":        {200, "image/svg+xml"},
		"/projections/../main.js":      {404, "text/plain; charset=utf-8"},
		"/projections/static/main.js":  {404, "text/plain; charset=utf-8"},
		"/projections//main.js":        {404, "text/plain; charset=utf-8"},
		"/projections/projections.go":  {404, "text/plain; charset=utf-8"},
		"/projections/main.js/more.js": {404, "text/plain; charset=utf-8"},
	} {
		if r := ask("GET", path); r.StatusCode != want.code || r.Header.Get("Content-Type") != want.kind {
			t.Errorf("%s: %s, %s", path, r.Status, r.Header.Get("Content-Type"))
		}
	}
	if r := ask("POST", "/projections/"); r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %s %v", r.Status, r.Header)
	}
}

// TestRedirectLeadsBelowAnyPrefix resolves as browsers do.
func TestRedirectLeadsBelowAnyPrefix(t *testing.T) {
	r := ask("GET", "/projections")
	r.Request = httptest.NewRequest("GET", "http://proxy/some/prefix/projections", nil)
	if to, err := r.Location(); err != nil || r.StatusCode != 301 || to.Path != "/some/prefix/projections/" {
		t.Errorf("%s to %v, %v", r.Status, to, err)
	}
}

func TestFilesAreAskedForAnewAndSentOnce(t *testing.T) {
	r := ask("GET", "/projections/main.js")
	tag := r.Header.Get("ETag")
	if r.Header.Get("Cache-Control") != "no-cache" || len(tag) < 10 {
		t.Fatalf("%v", r.Header)
	}
	if r := ask("GET", "/projections/main.js", "If-None-Match", tag); r.StatusCode != 304 || body(t, r) != "" {
		t.Errorf("%s", r.Status)
	}
	if r := ask("GET", "/projections/base.css", "If-None-Match", tag); r.StatusCode != 200 {
		t.Errorf("another file: %s", r.Status)
	}
}

func TestClockTellsBothTimes(t *testing.T) {
	r := ask("GET", projections.ClockPath)
	var told projections.Time
	if err := json.Unmarshal([]byte(body(t, r)), &told); err != nil || r.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%v, %v", err, r.Header)
	}
	if !told.Wall.Equal(now) || !told.System.Equal(now.Add(25*time.Hour)) {
		t.Errorf("told %v", told)
	}
}

// TestPagesNeedNothingButThemselves looks for what the policy refuses, for addresses that
// no proxy can move, and for ways by which text becomes markup.
func TestPagesNeedNothingButThemselves(t *testing.T) {
	never := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|<style|style="| on[a-z]+="|https?://[^w]|(src|href|from|import\()=?\s*["'(]/|secrets`)
	files := os.DirFS("static")
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(files, name)
		if m := never.Find(raw); m != nil {
			t.Errorf("%s has %q", name, m)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
