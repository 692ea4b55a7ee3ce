package pod

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/upgrade"
)

func TestPortForwardGoesToTheKubeletOfThePod(t *testing.T) {
	k := newKubelet(t, nil)
	s := newServer(t, k.kubelets(t))
	s.create("a", oneContainer)
	forward := s.ByPath["pods/portforward"].(*portForwardREST)
	connect := func(name string, ports ...int32) error {
		_, err := rest.Connecter(forward).Connect(s.ctx, name, &corev1.PodPortForwardOptions{Ports: ports}, nil)
		return err
	}
	wantError(t, connect("none"), errors.IsNotFound, `pods "none" not found`)
	wantError(t, connect("a"), errors.IsBadRequest, "pod a does not have a host assigned")
	wantError(t, connect("a", make([]int32, maxForwardPorts+1)...), errors.IsBadRequest, "at most 64 can be forwarded")
	if err := s.bind("a", "node"); err != nil {
		t.Fatal(err)
	}
	location, err := forward.forwardLocation(s.ctx, "a", &corev1.PodPortForwardOptions{Ports: []int32{80, 443}})
	if err != nil || !strings.HasPrefix(location.Path, "/portForward/") || !strings.HasSuffix(location.Path, "/a") || location.Query().Get("port") != "80,443" {
		t.Errorf("%v, %v", location, err)
	}
}

func TestPortsOfARequestAreNumbers(t *testing.T) {
	var o corev1.PodPortForwardOptions
	if err := readPortForwardOptions(url.Values{"ports": {"80,443", "8080"}}, &o); err != nil || !slices.Equal(o.Ports, []int32{80, 443, 8080}) {
		t.Errorf("%v, %v", o.Ports, err)
	}
	for _, bad := range []string{"", "a", "80,", "99999999999", strings.Repeat("1,", 1000) + "1"} {
		if err := readPortForwardOptions(url.Values{"ports": {bad}}, &corev1.PodPortForwardOptions{}); err == nil {
			t.Errorf("%.20q is taken", bad)
		}
	}
}

// TestTunnelPassesOnAllBeforeTheEnd has a kubelet that upgrades, echoes what it gets and
// closes, and a client that reads late.
func TestTunnelPassesOnAllBeforeTheEnd(t *testing.T) {
	const size = 4 << 20
	here, there := net.Pipe()
	go func() {
		buf := make([]byte, 4096)
		n, _ := there.Read(buf)
		if !strings.Contains(string(buf[:n]), "X-Stream-Protocol-Version: portforward.k8s.io") || strings.Contains(string(buf[:n]), "Authorization") {
			t.Errorf("the kubelet is asked %q", buf[:n])
		}
		_, _ = io.WriteString(there, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
		n, _ = there.Read(buf)
		_, _ = there.Write(append(buf[:n], make([]byte, size)...))
		there.Close()
	}()
	tun := &tunnel{clock: clock.Real(), fail: func(w http.ResponseWriter, _ *http.Request, err error) { http.Error(w, err.Error(), 500) },
		backend: upgrade.Backend{
			Dial: func(context.Context) (net.Conn, error) { return here, nil },
			URL:  &url.URL{Scheme: "https", Host: "kubelet", Path: "/portForward/ns/p"}, Wait: time.Minute, Clock: clock.Real(),
		}}
	server := httptest.NewServer(tun)
	t.Cleanup(server.Close)
	dialer := &websocket.Dialer{Subprotocols: []string{"SPDY/3.1+portforward.k8s.io"}}
	ws, _, err := dialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), http.Header{"Authorization": {"Bearer secret"}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if ws.Subprotocol() != "SPDY/3.1+portforward.k8s.io" {
		t.Errorf("subprotocol %q", ws.Subprotocol())
	}
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("ping")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	var got []byte
	for {
		_, message, err := ws.ReadMessage()
		if err != nil {
			if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				t.Errorf("ended with %v", err)
			}
			break
		}
		got = append(got, message...)
	}
	if len(got) != size+4 || string(got[:4]) != "ping" {
		t.Errorf("%d bytes, beginning with %q", len(got), got[:min(4, len(got))])
	}
}
