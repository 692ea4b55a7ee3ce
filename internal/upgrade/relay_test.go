package upgrade

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
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

	"laterna.dev/laterna/internal/clock"
)

// backendFunc is a server on TCP that has each of its connections, behind the upgrade.
func backendFunc(t *testing.T, protocol string, serve func(net.Conn)) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
					return
				}
				fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
				serve(c)
			}()
		}
	}()
	return &url.URL{Scheme: "http", Host: l.Addr().String(), Path: "/exec"}
}

func backendAt(u *url.URL) Backend {
	return Backend{URL: u, Wait: 10 * time.Second, Clock: clock.Real(),
		Dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", u.Host)
		}}
}

// open connects to a Handler in front of a backend and returns the client's end; ended is
// closed when the handler has returned.
func open(t *testing.T, protocol string, u *url.URL) (c net.Conn, in *bufio.Reader, ended chan struct{}) {
	t.Helper()
	ended = make(chan struct{})
	h := &Handler{Backend: backendAt(u), Clock: clock.Real(), Gone: Closed, beat: time.Second,
		Fail: func(w http.ResponseWriter, _ *http.Request, err error) { http.Error(w, err.Error(), 500) }}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	c, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
	in = bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("%v, %v", resp, err)
	}
	return c, in, ended
}

func dataFrame(stream uint32, flags byte, data []byte) []byte {
	f := binary.BigEndian.AppendUint32(nil, stream)
	f = binary.BigEndian.AppendUint32(f, uint32(len(data)))
	f[4] = flags
	return append(f, data...)
}

func ping(id uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{0x80, 3, 0, 6, 0, 0, 0, 4}, id)
}

// readAll returns the payload of the data frames up to the end, the last one whole or
// not, and the pings.
func readAll(t *testing.T, in *bufio.Reader) (data []byte, pings []uint32) {
	t.Helper()
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(in, head); err != nil {
			return data, pings
		}
		payload := make([]byte, binary.BigEndian.Uint32(head[4:])&0xFFFFFF)
		n, err := io.ReadFull(in, payload)
		if err != nil {
			return append(data, payload[:n]...), pings
		}
		if head[0]&0x80 == 0 {
			data = append(data, payload...)
		} else if head[3] == 6 {
			pings = append(pings, binary.BigEndian.Uint32(payload))
		}
	}
}

func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("not within 20 s: %s", what)
	}
}

// TestSlowReaderGetsAllAfterTheEnd lets a backend write and close while its client reads
// nothing, pings, and sends input that nobody takes any more.
func TestSlowReaderGetsAllAfterTheEnd(t *testing.T) {
	t.Parallel()
	wrote := make(chan int, 1) // bytes of data
	u := backendFunc(t, "SPDY/3.1", func(c net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, c) }()
		// As much as the kernel takes on the way to a client that reads nothing.
		all := 0
		for {
			_ = c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
			n, err := c.Write(dataFrame(3, 0, make([]byte, 30_000)))
			if all += max(0, n-8); err != nil {
				break
			}
		}
		c.Close()
		wrote <- all
	})
	c, in, ended := open(t, "SPDY/3.1", u)
	send := func(frame []byte) {
		t.Helper()
		if _, err := c.Write(frame); err != nil {
			t.Fatal(err)
		}
	}
	want := 0
	for want == 0 {
		select {
		case want = <-wrote:
		case <-time.After(5 * time.Millisecond):
			send(ping(1))
		}
	}
	for range 10 {
		send(ping(3))
		send(dataFrame(5, 0, []byte("typed")))
		time.Sleep(5 * time.Millisecond)
	}
	data, pings := readAll(t, in)
	if len(data) != want {
		t.Errorf("%d bytes of %d came", len(data), want)
	}
	if !slices.Contains(pings, 1) || !slices.Contains(pings, 3) {
		t.Errorf("pings answered: %d", pings)
	}
	c.Close()
	within(t, "the handler's end", ended)
}

func TestPingsReachABackendThatRests(t *testing.T) {
	t.Parallel()
	got := make(chan []byte, 1)
	u := backendFunc(t, "SPDY/3.1", func(c net.Conn) {
		b := make([]byte, 12)
		_, _ = io.ReadFull(c, b)
		got <- b
		_, _ = c.Write(b)
		_, _ = io.Copy(io.Discard, c)
	})
	c, in, ended := open(t, "SPDY/3.1", u)
	time.Sleep(50 * time.Millisecond) // nothing is on its way
	if _, err := c.Write(ping(7)); err != nil {
		t.Fatal(err)
	}
	select {
	case b := <-got:
		if !bytes.Equal(b, ping(7)) {
			t.Errorf("the backend got % x", b)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no ping at the backend")
	}
	answer := make([]byte, 12)
	if _, err := io.ReadFull(in, answer); err != nil || !bytes.Equal(answer, ping(7)) {
		t.Errorf("answer % x, %v", answer, err)
	}
	c.Close()
	within(t, "the handler's end", ended)
}

func TestSocketPingsAreAnsweredWhileOutputWaits(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	u := backendFunc(t, "websocket", func(c net.Conn) {
		_, _ = c.Write([]byte{0x82, 3, 1, 'a'}) // a frame that is not whole
		<-release
		_, _ = c.Write([]byte{'b'})
		_, _ = io.Copy(io.Discard, c)
	})
	c, in, _ := open(t, "websocket", u)
	first := make([]byte, 4)
	if _, err := io.ReadFull(in, first); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte{0x89, 0x82, 1, 2, 3, 4, 'h' ^ 1, 'i' ^ 2}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	close(release)
	rest := make([]byte, 5)
	if _, err := io.ReadFull(in, rest); err != nil || string(rest) != "b\x8a\x02hi" {
		t.Errorf("got %q, %v: want the frame's end, then the pong", rest, err)
	}
}

func TestClientThatGoesEndsTheSession(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(net.Conn){
		"closes":        func(c net.Conn) { c.Close() },
		"sends no more": func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() },
		"breaks off": func(c net.Conn) {
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gone := make(chan struct{})
			u := backendFunc(t, "SPDY/3.1", func(c net.Conn) {
				_, _ = io.Copy(io.Discard, c)
				close(gone)
			})
			c, _, ended := open(t, "SPDY/3.1", u)
			leave(c)
			within(t, "the backend's end", gone)
			within(t, "the handler's end", ended)
		})
	}
}

// TestHalfClosedClientGetsWhatFlows lets a client say early that it sends no more.
func TestHalfClosedClientGetsWhatFlows(t *testing.T) {
	t.Parallel()
	want := strings.Repeat("line\n", 600_000)
	u := backendFunc(t, "SPDY/3.1", func(c net.Conn) {
		for part := range slices.Chunk([]byte(want), 30_000) {
			if _, err := c.Write(dataFrame(3, 0, part)); err != nil {
				return
			}
		}
	})
	c, in, ended := open(t, "SPDY/3.1", u)
	_ = c.(*net.TCPConn).CloseWrite()
	time.Sleep(200 * time.Millisecond)
	if data, _ := readAll(t, in); string(data) != want {
		t.Errorf("%d bytes of %d came", len(data), len(want))
	}
	within(t, "the handler's end", ended)
}

// TestClientThatDiesWhileItsInputWaits is noticed although its end is not read.
func TestClientThatDiesWhileItsInputWaits(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	u := backendFunc(t, "SPDY/3.1", func(c net.Conn) {
		_ = c.(*net.TCPConn).SetReadBuffer(4096)
		for { // reads nothing; learns from writing that the other side has gone
			time.Sleep(100 * time.Millisecond)
			if _, err := c.Write(nil); err != nil || Closed(c) {
				close(gone)
				return
			}
		}
	})
	c, _, ended := open(t, "SPDY/3.1", u)
	_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
	for {
		if _, err := c.Write(dataFrame(5, 0, make([]byte, 16<<10))); err != nil {
			break
		}
	}
	c.Close()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the handler goes on for a client that has gone")
	}
	within(t, "the backend's end", gone)
}

func TestClosedSeesAPeerBeforeItsLastByte(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	here, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	there, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if Closed(here) {
		t.Error("a peer that is open counts as closed")
	}
	// As much as the kernel takes.
	_ = there.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	n, _ := io.Copy(there, zeros{})
	there.Close()
	if !Closed(here) {
		t.Error("a peer that has closed counts as open")
	}
	if got, err := io.Copy(io.Discard, here); err != nil || got != n {
		t.Errorf("%d bytes of %d, %v", got, n, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
