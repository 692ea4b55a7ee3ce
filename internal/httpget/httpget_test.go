package httpget_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"laterna.dev/laterna/internal/httpget"
)

func TestAnswersAreBounded(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=7")
		fmt.Fprint(w, r.Header.Get("Accept"))
	})
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 101)) })
	mux.Handle("/away", http.RedirectHandler("/good", http.StatusFound))
	server := httptest.NewServer(mux)
	defer server.Close()
	client := httpget.NewClient(http.DefaultTransport)
	body, header, err := httpget.JSON(t.Context(), client, server.URL+"/good", 100)
	if err != nil || string(body) != "application/json" || header.Get("Cache-Control") != "max-age=7" {
		t.Errorf("%q with %v: %v", body, header, err)
	}
	for path, want := range map[string]string{
		"/long": "longer than 100 bytes", "/away": "302 Found", "/none": "404 Not Found", ":\x7f": "is not a URL",
	} {
		if body, _, err := httpget.JSON(t.Context(), client, server.URL+path, 100); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), server.URL) {
			t.Errorf("%s gives %q, %v; want an error of %q without the address", path, body, err, want)
		}
	}
	_, _, err = httpget.JSON(t.Context(), client, server.URL+"/none", 100)
	if status := httpget.StatusError(0); !errors.As(err, &status) || status != http.StatusNotFound {
		t.Errorf("%v is not the status 404", err)
	}
}

// roundTripper is a transport of a test.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// stalled is a body that never comes.
type stalled struct{ ctx context.Context }

func (s stalled) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }

func TestServersThatStallAreGivenUp(t *testing.T) {
	for what, answer := range map[string]roundTripper{
		"no answer": func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
		"no body": func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(stalled{r.Context()})}, nil
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			_, _, err := httpget.JSON(t.Context(), httpget.NewClient(answer), "https://a.example", 100)
			if took := time.Since(began); err == nil || took != httpget.Timeout {
				t.Errorf("%s: %v after %s, want it given up after %s", what, err, took, httpget.Timeout)
			}
		})
	}
}
