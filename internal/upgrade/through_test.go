package upgrade

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"laterna.dev/laterna/internal/clock"
)

// through is a server that passes connections through to a backend.
func through(t *testing.T, u *url.URL, half time.Duration) (address string, ended chan struct{}) {
	t.Helper()
	ended = make(chan struct{}, 10)
	backend := backendAt(u)
	backend.Whole, backend.Host = true, "pod.example"
	h := &Through{Backend: backend, Clock: clock.Real(), halfIdle: half,
		Fail: func(w http.ResponseWriter, _ *http.Request, err error) { http.Error(w, err.Error(), 500) }}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { ended <- struct{}{} }()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	return web.Listener.Addr().String(), ended
}

// ask sends a request for an upgrade and returns the connection.
func ask(t *testing.T, address, fields string) (*net.TCPConn, *bufio.Reader, *http.Response) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(c, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n%s\r\n", fields)
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn), in, resp
}

func TestEndsOfBothWaysPassThrough(t *testing.T) {
	t.Parallel()
	u := backendFunc(t, "tcp", func(c net.Conn) { // answers behind the end of what it is sent
		text, _ := io.ReadAll(c)
		_, _ = c.Write(bytes.ToUpper(text))
	})
	address, ended := through(t, u, 0)
	c, in, resp := ask(t, address, "")
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp.Status)
	}
	if _, err := io.WriteString(c, "text"); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in); string(got) != "TEXT" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	c.Close()
	within(t, "the handler's end", one(ended))
}

func one(from chan struct{}) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		<-from
		close(done)
	}()
	return done
}

// TestSlowClientGetsAllOfABackendThatHasEnded has the client go on sending while it reads.
func TestSlowClientGetsAllOfABackendThatHasEnded(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789abcdef"), 256<<10) // 4 MiB
	u := backendFunc(t, "tcp", func(c net.Conn) {
		_, _ = c.Write(data)
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	})
	address, ended := through(t, u, 0)
	c, in, _ := ask(t, address, "")
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				_, _ = io.WriteString(c, "ping")
			}
		}
	}()
	var got bytes.Buffer
	for got.Len() < len(data) {
		n, err := io.CopyN(&got, in, 64<<10)
		if err != nil {
			t.Fatalf("after %d bytes and %d: %v", got.Len(), n, err)
		}
		time.Sleep(3 * time.Millisecond)
	}
	close(stop)
	if !bytes.Equal(got.Bytes(), data) {
		t.Error("what came is not what was sent")
	}
	c.Close()
	within(t, "the handler's end", one(ended))
}

// TestHalfOfAConnectionDoesNotStayForEver has a client go, and a backend that does not
// mind.
func TestHalfOfAConnectionDoesNotStayForEver(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	u := backendFunc(t, "tcp", func(c net.Conn) {
		_, _ = io.Copy(io.Discard, c)
		for {
			time.Sleep(300 * time.Millisecond) // longer than half
			if _, err := c.Write([]byte("x")); err != nil {
				close(gone)
				return
			}
		}
	})
	address, ended := through(t, u, 100*time.Millisecond)
	c, _, _ := ask(t, address, "")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	within(t, "the handler's end", one(ended))
	within(t, "the backend's end", gone)
}

// TestWhatAClientSaysPassesThroughButWhoItIs looks at both headers.
func TestWhatAClientSaysPassesThroughButWhoItIs(t *testing.T) {
	t.Parallel()
	asked := make(chan *http.Request, 1)
	pod := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		up := websocket.Upgrader{EnableCompression: true, Subprotocols: []string{"chat"}, CheckOrigin: func(*http.Request) bool { return true }}
		ws, err := up.Upgrade(w, r, http.Header{"Set-Cookie": {"a=b"}, "Strict-Transport-Security": {"max-age=1"}})
		if err != nil {
			return
		}
		defer ws.Close()
		for {
			kind, message, err := ws.ReadMessage()
			if err != nil {
				return
			}
			_ = ws.WriteMessage(kind, bytes.ToUpper(message))
		}
	}))
	t.Cleanup(pod.Close)
	u, _ := url.Parse(pod.URL + "/path?q=1")
	address, _ := through(t, u, 0)
	dial := websocket.Dialer{EnableCompression: true, Subprotocols: []string{bearerProtocol + "secret", "chat"}}
	ws, resp, err := dial.Dial("ws://"+address+"/", http.Header{"Authorization": {"Bearer secret"}, "Origin": {"http://o"}, "Cookie": {"c=d"}, "X-Own": {"1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	r := <-asked
	if r.URL.String() != "/path?q=1" || r.Host != "pod.example" || r.Header.Get("Origin") != "http://o" || r.Header.Get("Cookie") != "c=d" || r.Header.Get("X-Own") != "1" {
		t.Errorf("asked is %s of %s with %v", r.URL, r.Host, r.Header)
	}
	if all := fmt.Sprint(r.Header); strings.Contains(all, "secret") {
		t.Errorf("asked is %s", all)
	}
	if ws.Subprotocol() != "chat" || resp.Header.Get("Set-Cookie") != "a=b" || resp.Header.Get("Strict-Transport-Security") != "" || !strings.Contains(resp.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate") {
		t.Errorf("answered is %v", resp.Header)
	}
	for _, text := range []string{"a", strings.Repeat("long", 100<<10)} {
		if err := ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := ws.ReadMessage(); err != nil || string(got) != strings.ToUpper(text) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
}

func TestBackendThatDoesNotUpgrade(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		code   int
		body   string
	}{
		"refused":    {"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\nno\n", 403, "no\n"},
		"a page":     {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 500, "invalid upgrade response: status code 200\n"},
		"redirected": {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", 500, "invalid upgrade response: status code 302\n"},
		"other":      {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: udp\r\n\r\n", 500, "invalid upgrade response: upgraded to \"udp\", not \"tcp\"\n"},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if errors.Is(err, net.ErrClosed) {
					return
				}
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, c.answer)
			}
		}()
		address, _ := through(t, &url.URL{Scheme: "http", Host: l.Addr().String(), Path: "/"}, 0)
		_, _, resp := ask(t, address, "")
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != c.code || string(body) != c.body || err != nil {
			t.Errorf("%s: %s %q, %v", name, resp.Status, body, err)
		}
	}
}
