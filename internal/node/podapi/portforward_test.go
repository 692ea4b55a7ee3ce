package podapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	portforward "k8s.io/apimachinery/pkg/util/portforward"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// ports is a node whose pods are on its own network.
type ports struct{ Host }

// Network implements Host.
func (ports) Network(context.Context, Container, []uint16) (Network, error) { return Network{}, nil }

// pod answers each connection to a port of this machine, which stands for a pod's.
func pod(t *testing.T, answer func(*net.TCPConn)) uint16 {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				answer(c)
			}()
		}
	}()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// forwarder opens a SPDY connection as kubectl does.
func forwarder(t *testing.T, addr string) httpstream.Connection {
	t.Helper()
	transport, upgrader, err := spdy.RoundTripperFor(&rest.Config{Host: "https://" + addr, BearerToken: "ann", TLSClientConfig: rest.TLSClientConfig{Insecure: true}})
	if err != nil {
		t.Fatal(err)
	}
	to := &url.URL{Scheme: "https", Host: addr, Path: "/portForward/ns/p"}
	conn, protocol, err := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, to).Dial(portforward.PortForwardV1Name)
	if err != nil || protocol != portforward.PortForwardV1Name {
		t.Fatalf("protocol %q, %v", protocol, err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// connect opens the two streams of a connection.
func connect(t *testing.T, conn httpstream.Connection, id int, port uint16) (data, fault httpstream.Stream) {
	t.Helper()
	headers := http.Header{}
	headers.Set(corev1.PortHeader, fmt.Sprint(port))
	headers.Set(corev1.PortForwardRequestIDHeader, fmt.Sprint(id))
	var err error
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	if fault, err = conn.CreateStream(headers); err != nil {
		t.Fatal(err)
	}
	_ = fault.Close()
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	if data, err = conn.CreateStream(headers); err != nil {
		t.Fatal(err)
	}
	return data, fault
}

// within fails if f takes long.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: not within 30 s", what)
	}
}

func TestEndOfEachDirectionIsPassedOnAlone(t *testing.T) {
	addr, _ := serve(t, nil)
	first := make(chan struct{})
	port := pod(t, func(c *net.TCPConn) {
		got, err := io.ReadAll(c) // the client's end comes while ours is open
		_, _ = fmt.Fprintf(c, "got %q, %v", got, err)
	})
	early := pod(t, func(c *net.TCPConn) {
		_, _ = c.Write([]byte("first"))
		_ = c.CloseWrite()
		got, _ := io.ReadAll(c) // our end comes while the client's is open
		if string(got) == "second" {
			close(first)
		}
	})
	conn := forwarder(t, addr)
	within(t, "the client ends first", func() {
		data, fault := connect(t, conn, 1, port)
		_, _ = data.Write([]byte("hello"))
		_ = data.Close()
		got, err := io.ReadAll(data)
		said, _ := io.ReadAll(fault)
		if string(got) != `got "hello", <nil>` || err != nil || len(said) > 0 {
			t.Errorf("got %q, %v; told %q", got, err, said)
		}
	})
	within(t, "the pod ends first", func() {
		data, fault := connect(t, conn, 2, early)
		got, err := io.ReadAll(data)
		said, _ := io.ReadAll(fault)
		if string(got) != "first" || err != nil || len(said) > 0 {
			t.Errorf("got %q, %v; told %q", got, err, said)
		}
		_, _ = data.Write([]byte("second"))
		_ = data.Close()
		<-first
	})
}

func TestResetOfAClientReachesThePod(t *testing.T) {
	addr, _ := serve(t, nil)
	ended := make(chan error, 1)
	begun := make(chan struct{})
	port := pod(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1))
		close(begun)
		_, err := io.ReadAll(c)
		ended <- err
	})
	data, _ := connect(t, forwarder(t, addr), 1, port)
	_, _ = data.Write([]byte("x"))
	<-begun
	_ = data.Reset()
	within(t, "the reset", func() {
		if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the pod got %v", err)
		}
	})
}

func TestLostClientIsAResetForThePod(t *testing.T) {
	addr, _ := serve(t, nil)
	ended := make(chan error, 1)
	port := pod(t, func(c *net.TCPConn) {
		_, err := io.ReadAll(c)
		ended <- err
	})
	conn := forwarder(t, addr)
	data, _ := connect(t, conn, 1, port)
	_, _ = data.Write([]byte("half of it"))
	conn.Close()
	within(t, "the end", func() {
		if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the pod got %v: it takes what came for all", err)
		}
	})
}

func TestResetOfAPodEndsTheStreamAndNotTheOthers(t *testing.T) {
	addr, _ := serve(t, nil)
	broken := pod(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1))
		_ = c.SetLinger(0)
	})
	echo := pod(t, func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
	conn := forwarder(t, addr)
	other, _ := connect(t, conn, 1, echo)
	within(t, "both", func() {
		data, fault := connect(t, conn, 2, broken)
		_, _ = data.Write([]byte("x"))
		_, _ = io.ReadAll(data)
		_, _ = io.ReadAll(fault)
		_, _ = other.Write([]byte("still here"))
		_ = other.Close()
		if got, _ := io.ReadAll(other); string(got) != "still here" {
			t.Errorf("the other connection got %q", got)
		}
	})
}

func TestPortThatNobodyListensOnIsTold(t *testing.T) {
	addr, _ := serve(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	conn := forwarder(t, addr)
	within(t, "the refusal", func() {
		data, fault := connect(t, conn, 1, port)
		said, _ := io.ReadAll(fault)
		got, _ := io.ReadAll(data)
		if want := fmt.Sprintf("error forwarding port %d to pod p_ns, uid : ", port); !strings.HasPrefix(string(said), want) || !strings.Contains(string(said), "connection refused") || len(got) > 0 {
			t.Errorf("told %q, got %q", said, got)
		}
	})
}

// TestSlowReaderOfAForwardGetsAll reads nothing until the pod has closed.
func TestSlowReaderOfAForwardGetsAll(t *testing.T) {
	addr, _ := serve(t, nil)
	const size = 8 << 20
	want := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	port := pod(t, func(c *net.TCPConn) { _, _ = c.Write(want) })
	conn := forwarder(t, addr)
	within(t, "all", func() {
		data, _ := connect(t, conn, 1, port)
		time.Sleep(2 * time.Second)
		got, err := io.ReadAll(data)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes of %d, %v", len(got), size, err)
		}
	})
}

func TestConnectionsBeyondTheBoundAreToldAndTheRestGoesOn(t *testing.T) {
	addr, _ := serve(t, nil)
	port := pod(t, func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
	conn := forwarder(t, addr)
	var open []httpstream.Stream
	for i := range forwardsEach {
		data, _ := connect(t, conn, i, port)
		_, _ = data.Write([]byte("x"))
		if _, err := data.Read(make([]byte, 1)); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		open = append(open, data)
	}
	within(t, "the bound", func() {
		_, fault := connect(t, conn, 10_000, port)
		if said, _ := io.ReadAll(fault); !strings.Contains(string(said), "too many connections") {
			t.Errorf("told %q", said)
		}
		_ = open[0].Close()
		_, _ = io.ReadAll(open[0])
		for i := range 100 { // its place is free a moment later
			data, _ := connect(t, conn, 20_000+i, port)
			_, _ = data.Write([]byte("y"))
			_ = data.Close()
			if got, _ := io.ReadAll(data); string(got) == "y" {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Error("a place is not given up")
	})
}

// TestClientThatOpensStreamsForEverIsCut opens streams that never get their second.
func TestClientThatOpensStreamsForEverIsCut(t *testing.T) {
	addr, _ := serve(t, nil)
	conn := forwarder(t, addr)
	headers := http.Header{}
	headers.Set(corev1.PortHeader, "80")
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	go func() {
		for i := range 2 * streamsEach {
			headers.Set(corev1.PortForwardRequestIDHeader, fmt.Sprint(i))
			if _, err := conn.CreateStream(headers); err != nil {
				return
			}
		}
		t.Error("nobody counts streams")
	}()
	within(t, "the cut", func() { <-conn.CloseChan() })
}

func TestWebSocketForwardsThePortsOfItsRequest(t *testing.T) {
	addr, _ := serve(t, nil)
	port := pod(t, func(c *net.TCPConn) {
		buf := make([]byte, 5)
		_, _ = io.ReadFull(c, buf)
		_, _ = c.Write(bytes.ToUpper(buf))
	})
	dialer := &websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Subprotocols: []string{binaryForward}}
	ws, _, err := dialer.Dial(fmt.Sprintf("wss://%s/portForward/ns/p?port=%d,1", addr, port), http.Header{"Authorization": {"Bearer ann"}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("\x00hello")); err != nil {
		t.Fatal(err)
	}
	got := map[byte]string{}
	within(t, "the end", func() {
		for {
			_, message, err := ws.ReadMessage()
			if err != nil {
				if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
					t.Errorf("ended with %v", err)
				}
				return
			}
			got[message[0]] += string(message[1:])
		}
	})
	number := string(binary.LittleEndian.AppendUint16(nil, port))
	if got[0] != number+"HELLO" || got[1] != number || got[2] != "\x01\x00" || !strings.Contains(got[3], "error forwarding port 1 to pod p_ns") {
		t.Errorf("got %q", got)
	}
}

func TestPortsOfAWebSocketAreChecked(t *testing.T) {
	for query, want := range map[string]string{
		"": "required", "port=0": "port", "port=65536": "port", "port=a": "port", "port=" + strings.Repeat("1,", maxPorts) + "1": "more than",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := portsOf(values[corev1.PortHeader]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30s: %v", query, err)
		}
	}
}
