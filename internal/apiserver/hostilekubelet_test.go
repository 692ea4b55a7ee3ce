package apiserver_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"

	"laterna.dev/laterna/internal/pki"
)

const (
	// endless is where a hostile kubelet gives up; it stands for no end.
	endless = 128 << 20
	// taken is far more than 64 KiB and what the kernel holds of a connection.
	taken = 48 << 20
)

// hostile is a kubelet with a node's certificate that answers as it likes.
type hostile struct {
	listener net.Listener

	mu     sync.Mutex
	answer func(net.Conn)
	asked  []*http.Request
	wrote  int64
}

// newHostile registers the node "hostile" with a pod "p" on it.
func newHostile(t *testing.T, s *system) *hostile {
	t.Helper()
	pair, err := s.authority.Pair(pki.Leaf{Name: "hostile", CommonName: "system:node:hostile", Server: true, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	must(t, err)
	h := &hostile{}
	h.listener, err = tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: pair.GetCertificate})
	must(t, err)
	t.Cleanup(func() { h.listener.Close() })
	go h.serve()

	c := s.admin()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "hostile"}}
	node, err = c.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{})
	must(t, err)
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(h.listener.Addr().(*net.TCPAddr).Port)
	_, err = c.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{})
	must(t, err)
	_, err = c.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	must(t, err)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{NodeName: "hostile", Containers: []corev1.Container{{Name: "main", Image: "i"}}}}
	_, err = c.CoreV1().Pods("default").Create(t.Context(), p, metav1.CreateOptions{})
	must(t, err)
	return h
}

func (h *hostile) serve() {
	for {
		c, err := h.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			r, err := http.ReadRequest(bufio.NewReader(c))
			if err != nil {
				return
			}
			h.mu.Lock()
			h.asked = append(h.asked, r)
			answer := h.answer
			h.mu.Unlock()
			answer(c)
		}()
	}
}

// to sets the answer and forgets what was before.
func (h *hostile) to(answer func(net.Conn)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer, h.asked, h.wrote = answer, nil, 0
}

// repeat writes first, and then part up to the end that has none.
func (h *hostile) repeat(first, part string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, first)
		block := strings.Repeat(part, max(1, (64<<10)/len(part)))
		for n := 0; n < endless; n += len(block) {
			if _, err := io.WriteString(c, block); err != nil {
				return
			}
			h.mu.Lock()
			h.wrote += int64(len(block))
			h.mu.Unlock()
		}
	}
}

func TestHostileKubeletIsReadWithinBounds(t *testing.T) {
	s := boot(t, t.TempDir())
	h := newHostile(t, s)
	client := s.privileged()
	ways := map[string]func(context.Context) error{
		"exec over SPDY":      func(ctx context.Context) error { return s.execute(ctx, "exec", false) },
		"exec over WebSocket": func(ctx context.Context) error { return s.execute(ctx, "exec", true) },
		"attach over SPDY":    func(ctx context.Context) error { return s.execute(ctx, "attach", false) },
		"logs": func(context.Context) error {
			if code, raw := s.fetch(client, "GET", "/api/v1/namespaces/default/pods/p/log", nil); code >= 300 {
				return fmt.Errorf("%d %s", code, raw)
			}
			return nil
		},
	}
	const streams, logs = "the answer to the upgrade request is longer than 64 KiB", "exceeded 65536 bytes"
	for what, tt := range map[string]struct {
		answer        func(net.Conn)
		streams, logs string
	}{
		"endless headers":       {h.repeat("HTTP/1.1 101 Switching Protocols\r\n", "X-Header: value\r\n"), streams, logs},
		"one endless header":    {h.repeat("HTTP/1.1 101 Switching Protocols\r\nX-Header: ", "value"), streams, logs},
		"an endless status":     {h.repeat("HTTP/1.1 101 ", "Switching "), streams, logs},
		"an endless protocol":   {h.repeat("", "HTTP/"), streams, logs},
		"endless informational": {h.repeat("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), "status code 103", logs},
		"endless error":         {h.repeat("HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/html\r\n\r\n", "sorry "), "sorry sorry", "sorry sorry"},
		"an endless redirect":   {h.repeat("HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/\r\n\r\n", "there "), "status code 302", "redirects forbidden"},
		"another protocol":      {h.repeat("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n", "hello "), `upgraded to "chat"`, "with status 101"},
		"a success":             {h.repeat("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "more "), "status code 200", ""},
	} {
		t.Run(what, func(t *testing.T) {
			for way, ask := range ways {
				h.to(tt.answer)
				want := tt.streams
				if way == "logs" {
					want = tt.logs
				}
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				err := ask(ctx)
				cancel()
				if text := fmt.Sprint(err); (err == nil) != (want == "") || !strings.Contains(text, want) || len(text) > 200<<10 {
					t.Errorf("%s: %.300s, want %q", way, text, want)
				}
				h.mu.Lock()
				if len(h.asked) == 0 || h.wrote > taken {
					t.Errorf("%s: asked %d times, %d bytes taken", way, len(h.asked), h.wrote)
				}
				h.mu.Unlock()
			}
		})
	}
	eventually(t, func() error {
		stacks := make([]byte, 4<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		for _, part := range []string{"internal/upgrade.", "core/pod.(*translation)", "core/pod.(*socket)"} {
			if bytes.Contains(stacks, []byte(part)) {
				return fmt.Errorf("a goroutine is left in %s", part)
			}
		}
		return nil
	})
}

// execute opens a stream to the pod as kubectl does.
func (s *system) execute(ctx context.Context, what string, webSocket bool) error {
	config := s.config("admin", "system:masters")
	client, err := restclient.HTTPClientFor(config)
	must(s.t, err)
	defer client.CloseIdleConnections()
	u := s.admin().CoreV1().RESTClient().Post().Namespace("default").Resource("pods").Name("p").SubResource(what).
		Param("command", "x").Param("stdout", "true").URL()
	var executor remotecommand.Executor
	if webSocket {
		executor, err = remotecommand.NewWebSocketExecutor(config, http.MethodGet, u.String())
	} else {
		executor, err = remotecommand.NewSPDYExecutor(config, http.MethodPost, u)
	}
	must(s.t, err)
	return executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: io.Discard})
}

// TestCredentialsStayHere sends a node's kubelet a request with all that a client could
// be known by, and has it answer with headers of its own.
func TestCredentialsStayHere(t *testing.T) {
	s := boot(t, t.TempDir())
	h := newHostile(t, s)
	const own = "Set-Cookie: a=b\r\nWWW-Authenticate: Basic\r\nLocation: https://elsewhere\r\nAccess-Control-Allow-Origin: *\r\nServer: x\r\n"
	config, err := restclient.TLSConfigFor(s.config("admin", "system:masters"))
	must(t, err)
	for what, tt := range map[string]struct{ method, ask, answer, want string }{
		"SPDY": {"POST", "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n",
			"101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n", "101"},
		"WebSocket": {"GET", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
			"Sec-WebSocket-Protocol: v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.c2VjcmV0LXRva2Vu\r\n",
			"101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n", "101"},
		"refusal": {"POST", "Upgrade: SPDY/3.1\r\n", "403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 2\r\n", "403"},
	} {
		t.Run(what, func(t *testing.T) {
			h.to(func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 "+tt.answer+own+"\r\nno") })
			c, err := tls.Dial("tcp", s.addr, config)
			must(t, err)
			defer c.Close()
			fmt.Fprintf(c, "%s /api/v1/namespaces/default/pods/p/exec?command=x&stdout=true HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n%s"+
				"Cookie: session=secret\r\nProxy-Authorization: secret\r\nX-Remote-User: secret\r\nX-Secret: secret\r\nOrigin: https://secret\r\nReferer: https://secret\r\n\r\n", tt.method, tt.ask)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			must(t, err)
			if got := fmt.Sprint(resp.StatusCode); got != tt.want {
				t.Errorf("answered %s", resp.Status)
			}
			for _, name := range []string{"Set-Cookie", "Www-Authenticate", "Location", "Access-Control-Allow-Origin", "Server"} {
				if v := resp.Header.Get(name); v != "" {
					t.Errorf("the client gets %s: %s", name, v)
				}
			}
			if strings.Contains(resp.Header.Get("Content-Type"), "html") {
				t.Error("the client gets a page")
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			if len(h.asked) != 1 {
				t.Fatalf("asked %d times", len(h.asked))
			}
			for name, values := range h.asked[0].Header {
				switch name {
				case "Connection", "Upgrade", "X-Stream-Protocol-Version", "Sec-Websocket-Version", "Sec-Websocket-Key", "Sec-Websocket-Protocol", "User-Agent", "Content-Length":
				default:
					t.Errorf("the node gets %s", name)
				}
				if text := strings.Join(values, " "); strings.Contains(text, "secret") || strings.Contains(text, "bearer") {
					t.Errorf("the node gets %s: %s", name, text)
				}
			}
		})
	}
}
