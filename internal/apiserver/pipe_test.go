package apiserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// roundTrip sends one request through a loopback to h.
func roundTrip(t *testing.T, ctx context.Context, h http.HandlerFunc, body string) (*http.Response, error) {
	t.Helper()
	l := newLoopback()
	l.serve(h)
	req, err := http.NewRequestWithContext(ctx, "POST", "http://loopback/path?a=b", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return caller{loopback: l, user: process}.RoundTrip(req)
}

func TestRoundTrip(t *testing.T) {
	resp, err := roundTrip(t, t.Context(), func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Got", r.URL.RequestURI()+" "+string(raw))
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK) // too late
		w.Header().Set("X-Late", "yes")
		io.WriteString(w, "answer")
	}, "question")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(resp.Body)
	if err != nil || string(raw) != "answer" || resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Late") != "" {
		t.Errorf("%d %q %v %v", resp.StatusCode, raw, resp.Header, err)
	}
	if got := resp.Header.Get("X-Got"); got != "/path?a=b question" {
		t.Errorf("handler got %q", got)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
}

func TestRoundTripOfSilence(t *testing.T) {
	resp, err := roundTrip(t, t.Context(), func(http.ResponseWriter, *http.Request) {}, "")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	if raw, err := io.ReadAll(resp.Body); len(raw) != 0 || err != nil {
		t.Errorf("%q, %v", raw, err)
	}
}

func TestPanicAbortsTheAnswer(t *testing.T) {
	resp, err := roundTrip(t, t.Context(), func(http.ResponseWriter, *http.Request) { panic("early") }, "")
	if err != nil || resp.StatusCode != http.StatusInternalServerError {
		t.Fatalf("%v, %v", resp, err)
	}
	resp, err = roundTrip(t, t.Context(), func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half")
		panic("late")
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := io.ReadAll(resp.Body); string(raw) != "half" || !errors.Is(err, errAborted) {
		t.Errorf("%q, %v", raw, err)
	}
}

// TestClosingTheBodyEndsTheRequest leaves a handler in the middle of an answer.
func TestClosingTheBodyEndsTheRequest(t *testing.T) {
	ended := make(chan error, 1)
	resp, err := roundTrip(t, t.Context(), func(w http.ResponseWriter, r *http.Request) {
		var err error
		for err == nil {
			_, err = io.WriteString(w, "more")
		}
		<-r.Context().Done()
		ended <- err
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 8)); err != nil {
		t.Error(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("writing went on")
	}
}

func TestEndedContextEndsTheRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	_, err := roundTrip(t, ctx, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
		<-w.(http.CloseNotifier).CloseNotify()
		close(ended)
	}, "")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("RoundTrip() = %v", err)
	}
	<-ended
}
