package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/upgrade"
)

// answering answers errors as the API does.
type answering struct {
	rest.Responder
	w http.ResponseWriter
}

// Error implements rest.Responder.
func (a answering) Error(err error) {
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		panic(err)
	}
	http.Error(a.w, known.Status().Message, int(known.Status().Code))
}

// seen is a request as a backend sees it.
type seen struct {
	method, uri, host, body string
	header                  http.Header
}

// front is the API server before a backend, whatever address the pod is said to have.
func front(t *testing.T, backend http.Handler, secured bool) *httptest.Server {
	t.Helper()
	pod := httptest.NewUnstartedServer(backend)
	if secured {
		pod.StartTLS()
	} else {
		pod.Start()
	}
	t.Cleanup(pod.Close)
	return frontOf(t, pod.Listener.Addr().String(), secured)
}

func frontOf(t *testing.T, address string, secured bool) *httptest.Server {
	t.Helper()
	w := newWays(func(ctx context.Context, network, to string) (net.Conn, error) {
		if to != "10.0.0.1:8080" {
			return nil, fmt.Errorf("dialled is %s", to)
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}, &tls.Config{InsecureSkipVerify: true})
	to := target{url: url.URL{Host: "10.0.0.1:8080"}, ways: w}
	if secured {
		to.url.Scheme = "https"
	}
	const root = "/api/v1/namespaces/ns/pods/p/proxy"
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := &request.RequestInfo{IsResourceRequest: true, APIPrefix: "api", APIVersion: "v1", Namespace: "ns", Resource: "pods", Name: "p", Subresource: "proxy"}
		below := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, root), "/")
		h, err := newForward(request.WithRequestInfo(r.Context(), info), to, below, answering{w: w}, clock.Real())
		if err != nil {
			panic(err)
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(api.Close)
	api.URL += root
	return api
}

// ask asks without following redirects.
func ask(t *testing.T, method, url, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestRequestsGoOnAsTheyAre(t *testing.T) {
	asked := make(chan seen, 1)
	for _, secured := range []bool{false, true} {
		api := front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			asked <- seen{r.Method, r.RequestURI, r.Host, string(body), r.Header}
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, "tea")
		}), secured)
		for _, method := range methods {
			for path, want := range map[string]string{"/a/b?c=d&e=%20": "/a/b?c=d&e=%20", "/a/b/": "/a/b/", "/": "/", "//a//b": "/a/b", "/a/../../../b": "/b", "/%41%20%2fb": "/A%20/b"} {
				resp, text := ask(t, method, api.URL+path, "body", http.Header{"X-Own": {"1"}, "Accept-Encoding": {"br"}})
				got := <-asked
				if got.method != method || got.uri != want || got.body != "body" || got.header.Get("X-Own") != "1" || got.header.Get("Accept-Encoding") != "br" {
					t.Errorf("%s %s: asked is %+v", method, path, got)
				}
				if resp.StatusCode != http.StatusTeapot || text != "tea" && method != http.MethodHead {
					t.Errorf("%s %s: %s %q", method, path, resp.Status, text)
				}
			}
			resp, _ := ask(t, method, api.URL+"?x=y", "", nil)
			if method == http.MethodGet || method == http.MethodHead {
				if resp.StatusCode != http.StatusMovedPermanently || resp.Header.Get("Location") != "/api/v1/namespaces/ns/pods/p/proxy/?x=y" {
					t.Errorf("%s without a path: %s to %s", method, resp.Status, resp.Header.Get("Location"))
				}
			} else if got := <-asked; got.uri != "/?x=y" || resp.StatusCode != http.StatusTeapot {
				t.Errorf("%s without a path: %s, asked is %+v", method, resp.Status, got)
			}
		}
	}
}

func TestBackendLearnsNoCredentials(t *testing.T) {
	asked := make(chan http.Header, 1)
	api := front(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.Header }), false)
	ask(t, http.MethodGet, api.URL+"/a", "", http.Header{
		"Authorization": {"Bearer secret"}, "Impersonate-User": {"secret"}, "Impersonate-Extra-X": {"secret"}, "X-Remote-User": {"secret"}, "X-Remote-Group": {"secret"},
		"Cookie": {"of=pods"}, "X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Host": {"forged"}, "Connection": {"X-Hop"}, "X-Hop": {"1"},
	})
	got := <-asked
	if strings.Contains(fmt.Sprint(got), "secret") || got.Get("X-Hop") != "" {
		t.Errorf("asked is %v", got)
	}
	for name, want := range map[string]string{
		"Cookie": "of=pods", "X-Forwarded-Uri": "/api/v1/namespaces/ns/pods/p/proxy/a", "X-Forwarded-For": "192.0.2.1, 127.0.0.1",
		"X-Forwarded-Proto": "http", "X-Forwarded-Host": strings.TrimPrefix(strings.TrimSuffix(api.URL, "/api/v1/namespaces/ns/pods/p/proxy"), "http://"),
	} {
		if got.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want)
		}
	}
}

func TestAnswersAreLed(t *testing.T) {
	api := front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range upgrade.ForOrigin {
			w.Header().Set(name, "x")
		}
		w.Header().Set("X-Own", "1")
		switch r.URL.Path {
		case "/page":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, `<a href="/x">`)
		case "/text":
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, `<a href="/x">`)
		case "/bad":
			w.Header().Set("Location", "http://a b")
			w.WriteHeader(http.StatusFound)
		default:
			w.Header().Set("Location", r.URL.Query().Get("to"))
			w.WriteHeader(http.StatusFound)
		}
	}), false)
	const root = "/api/v1/namespaces/ns/pods/p/proxy"
	for _, c := range []struct{ method, path, body, location string }{
		{"GET", "/page", `<a href="` + root + `/x">`, ""},
		{"HEAD", "/page", "", ""},
		{"GET", "/text", `<a href="/x">`, ""},
		{"GET", "/to?to=/x", "", root + "/x"},
		{"GET", "/to?to=http://10.0.0.1:8080/x/", "", root + "/x/"},
		{"GET", "/to?to=http://127.0.0.1/x", "", "http://127.0.0.1/x"},
		{"GET", "/to?to=x", "", "x"},
	} {
		resp, text := ask(t, c.method, api.URL+c.path, "", nil)
		if text != c.body || resp.Header.Get("Location") != c.location {
			t.Errorf("%s %s: %q, Location %q", c.method, c.path, text, resp.Header.Get("Location"))
		}
		if resp.Header.Get("X-Own") != "1" {
			t.Errorf("%s: header %v", c.path, resp.Header)
		}
		for _, name := range upgrade.ForOrigin {
			if resp.Header.Get(name) != "" {
				t.Errorf("%s: a pod says %s for all", c.path, name)
			}
		}
	}
	if resp, text := ask(t, "GET", api.URL+"/bad", "", nil); resp.StatusCode != 500 || !strings.Contains(text, "error trying to parse Location header: ") {
		t.Errorf("%s %s", resp.Status, text)
	}
}

func TestBackendThatIsNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	api := frontOf(t, l.Addr().String(), false)
	resp, text := ask(t, "GET", api.URL+"/", "", nil)
	if resp.StatusCode != 503 || !strings.HasPrefix(text, "error trying to reach service: dial tcp 127.0.0.1:") {
		t.Errorf("%s %s", resp.Status, text)
	}
	resp, text = ask(t, "GET", api.URL+"/", "", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}})
	if resp.StatusCode != 500 || !strings.Contains(text, "error dialing backend: dial tcp 127.0.0.1:") {
		t.Errorf("%s %s", resp.Status, text)
	}
}

// TestAnswersAreStreamed has a backend that goes on for as long as it is read: what the
// client does not take waits there.
func TestAnswersAreStreamed(t *testing.T) {
	wrote := make(chan int, 1)
	begin := make(chan struct{})
	api := front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-begin
		n := 0
		for buf := make([]byte, 64<<10); ; n += len(buf) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := w.Write(buf); err != nil {
				wrote <- n
				return
			}
		}
	}), false)
	resp, err := http.Get(api.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "first" {
		t.Fatalf("%q, %v", first, err)
	}
	close(begin)
	select {
	case n := <-wrote:
		if n > 32<<20 {
			t.Errorf("%d MiB are held for a client that does not read", n>>20)
		}
	case <-time.After(20 * time.Second):
		t.Error("a client that does not read does not hold the backend up")
	}
}

// TestBodiesAreStreamed sends half of a body and waits until it is there.
func TestBodiesAreStreamed(t *testing.T) {
	came := make(chan string, 2)
	api := front(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		half := make([]byte, 4)
		_, _ = io.ReadFull(r.Body, half)
		came <- string(half)
		rest, _ := io.ReadAll(r.Body)
		came <- string(rest)
	}), false)
	body, end := io.Pipe()
	done := make(chan error, 1)
	go func() {
		resp, err := http.Post(api.URL+"/", "text/plain", body)
		if err == nil {
			resp.Body.Close()
		}
		done <- err
	}()
	_, _ = io.WriteString(end, "half")
	if got := <-came; got != "half" {
		t.Errorf("%q", got)
	}
	_, _ = io.WriteString(end, "rest")
	end.Close()
	if got := <-came; got != "rest" {
		t.Errorf("%q", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestUpgradesPassThrough over TLS, too, with what says who the client is left out.
func TestUpgradesPassThrough(t *testing.T) {
	for _, secured := range []bool{false, true} {
		asked := make(chan *http.Request, 1)
		api := front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- r
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			line, _ := rw.ReadString('\n')
			fmt.Fprint(c, strings.ToUpper(line))
		}), secured)
		u, err := url.Parse(api.URL)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET %s/a?b=c HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: echo\r\nAuthorization: Bearer secret\r\nImpersonate-User: secret\r\n\r\ntext\n", u.Path)
		in := bufio.NewReader(c)
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != 101 {
			t.Fatalf("%v, %v", resp, err)
		}
		if got, err := io.ReadAll(in); string(got) != "TEXT\n" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		r := <-asked
		if r.RequestURI != "/a?b=c" || r.Host != "api" || strings.Contains(fmt.Sprint(r.Header), "secret") || r.Header.Get("X-Forwarded-Uri") != "/api/v1/namespaces/ns/pods/p/proxy/a" {
			t.Errorf("asked is %s of %s: %v", r.RequestURI, r.Host, r.Header)
		}
	}
}

// TestUpgradeThatNobodyNeedsIsPassedOver: some clients offer HTTP/2 with each request.
func TestUpgradeThatNobodyNeedsIsPassedOver(t *testing.T) {
	api := front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q %q", r.Header["Upgrade"], r.Header["Http2-Settings"])
	}), false)
	_, text := ask(t, "GET", api.URL+"/", "", http.Header{"Connection": {"Upgrade, HTTP2-Settings"}, "Upgrade": {"h2c"}, "Http2-Settings": {"x"}})
	if text != "[] []" {
		t.Error(text)
	}
}

func TestMethodsAreThoseOfUpstream(t *testing.T) {
	got := slices.Sorted(slices.Values(methods))
	if want := strings.Fields("DELETE GET HEAD OPTIONS PATCH POST PUT"); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
