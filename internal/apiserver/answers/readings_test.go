package answers

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/server/filters"
	testingclock "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/upgrade"
)

// readingServer serves h behind Readings whose clock the test moves.
func readingServer(t *testing.T, h http.HandlerFunc) (*httptest.Server, *testingclock.FakeClock) {
	c := testingclock.NewFakeClock(time.Now())
	r := NewReadings(func(*http.Request) bool { return false }, clock.WallOf(c))
	info := &request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	long := filters.BasicLongRunningRequestCheck(sets.NewString("watch"), sets.NewString("log"))
	server := httptest.NewUnstartedServer(r.Wrap(h, info, long))
	go r.Run(t.Context())
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	for !c.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	return server, c
}

// deaf asks for a path on a connection of its own, whose answer is not read.
func deaf(t *testing.T, s *httptest.Server, path string) *http.Response {
	t.Helper()
	client := s.Client()
	transport := client.Transport.(*http.Transport).Clone()
	transport.DialContext = nil
	response, err := (&http.Client{Transport: transport}).Get(s.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

// endless writes until it cannot, and tells when.
func endless(ended chan<- error) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				ended <- fmt.Errorf("%w, %w", err, req.Context().Err())
				return
			}
		}
	}
}

// TestReaderThatNeverReadsIsCut holds over HTTP/2, where the connection lives on, and
// for every kind of request.
func TestReaderThatNeverReadsIsCut(t *testing.T) {
	for path, after := range map[string]time.Duration{
		"/api/v1/namespaces/n/configmaps":         ReadTimeout,
		"/api/v1/namespaces/n/configmaps/c":       RequestTimeout,
		"/api/v1/namespaces/n/configmaps?watch=1": watchStall,
		"/api/v1/watch/namespaces/n/configmaps":   watchStall,
		"/api/v1/namespaces/n/pods/p/log":         upgrade.Idle,
		"/metrics":                                RequestTimeout,
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			ended := make(chan error, 1)
			server, c := readingServer(t, endless(ended))
			deaf(t, server, path)
			time.Sleep(50 * time.Millisecond) // until nothing more fits into the buffers
			c.Step(after - sweepInterval)
			select {
			case err := <-ended:
				t.Fatalf("ended too early: %v", err)
			case <-time.After(50 * time.Millisecond):
			}
			deadline := time.After(10 * time.Second)
			for {
				c.Step(sweepInterval)
				select {
				case <-ended:
					return
				case <-deadline:
					t.Fatal("the server still waits for its client")
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
}

// TestSlowReaderGetsAllOfAList reads in pieces for longer than other requests may
// take.
func TestSlowReaderGetsAllOfAList(t *testing.T) {
	const size = 8 << 20
	server, c := readingServer(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, size)) })
	response := deaf(t, server, "/api/v1/pods")
	for read := 0; read < size; read += size / 8 {
		c.Step(RequestTimeout)
		if _, err := io.CopyN(io.Discard, response.Body, size/8); err != nil {
			t.Fatalf("after %d bytes: %v", read, err)
		}
	}
}

// TestRequestThatDoesNotBeginEnds tells the handler.
func TestRequestThatDoesNotBeginEnds(t *testing.T) {
	for _, path := range []string{"/api/v1/pods", "/api/v1/namespaces/n/pods/p", "/version"} {
		ended, begun := make(chan struct{}), make(chan struct{})
		server, c := readingServer(t, func(_ http.ResponseWriter, req *http.Request) {
			close(begun)
			<-req.Context().Done()
			close(ended)
		})
		go func() {
			<-begun
			c.Step(RequestTimeout)
		}()
		deaf(t, server, path)
		<-ended
	}
}

// TestBodyThatNeverComesEndsTheRequest holds for both versions of HTTP: nobody keeps the
// places of others' writes by sending nothing.
func TestBodyThatNeverComesEndsTheRequest(t *testing.T) {
	for version := 1; version <= 2; version++ {
		begun, ended := make(chan struct{}), make(chan error, 1)
		server, c := readingServer(t, func(_ http.ResponseWriter, req *http.Request) {
			if req.ProtoMajor != version {
				t.Errorf("HTTP/%d came", req.ProtoMajor)
			}
			close(begun)
			_, err := io.ReadAll(req.Body)
			ended <- err
		})
		client := server.Client()
		if version == 1 {
			protocols := new(http.Protocols)
			protocols.SetHTTP1(true)
			transport := client.Transport.(*http.Transport).Clone()
			transport.TLSClientConfig.NextProtos, transport.ForceAttemptHTTP2, transport.Protocols = nil, false, protocols
			client.Transport = transport
		}
		body, rest := io.Pipe()
		go func() {
			response, err := client.Post(server.URL+"/api/v1/namespaces/n/configmaps", "application/json", body)
			if err == nil {
				response.Body.Close()
			}
		}()
		<-begun
		c.Step(RequestTimeout)
		select {
		case err := <-ended:
			if err == nil {
				t.Errorf("HTTP/%d: the body ended", version)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("HTTP/%d: the server still waits for the body", version)
		}
		rest.Close()
	}
}
