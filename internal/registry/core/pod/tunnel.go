package pod

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
	portforward "k8s.io/apimachinery/pkg/util/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/upgrade"
)

// tunnelBuffer is what is passed on at once, in bytes.
const tunnelBuffer = 32 << 10

// tunnel serves a client whose SPDY connection comes inside a WebSocket, as its binary
// messages, from a kubelet that is spoken to in SPDY. Each direction is passed on as fast
// as the receiver takes it.
type tunnel struct {
	backend upgrade.Backend
	clock   clock.Wall
	fail    func(w http.ResponseWriter, r *http.Request, err error)
}

// ServeHTTP implements http.Handler. The kubelet is asked first, so that its refusal is
// the answer to the request.
func (t *tunnel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked := http.Header{}
	asked.Set(httpstream.HeaderProtocolVersion, portforward.PortForwardV1Name)
	if agent := r.UserAgent(); agent != "" {
		asked.Set("User-Agent", agent)
	}
	kubelet, _, err := t.backend.Open(r.Context(), http.MethodPost, spdy.HeaderSpdy31, asked)
	if err != nil {
		t.fail(w, r, refused(err))
		return
	}
	defer kubelet.Close()
	up := &websocket.Upgrader{
		Subprotocols: []string{portforward.WebsocketsSPDYTunnelingPortForwardV1},
		CheckOrigin:  func(*http.Request) bool { return true }, // as for exec
	}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // answered
	}
	defer ws.Close()
	upgrade.HoldLittle(ws.NetConn())
	cut := func() {
		kubelet.Close()
		ws.Close()
	}
	defer context.AfterFunc(r.Context(), cut)()
	client := make(chan struct{})
	go func() {
		defer close(client)
		t.up(kubelet, ws)
		kubelet.Close()
	}()
	if t.down(ws, kubelet) {
		bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		if ws.WriteControl(websocket.CloseMessage, bye, t.clock.Now().Add(upgrade.Idle)) == nil {
			upgrade.Linger(r.Context(), ws.NetConn(), client, t.clock)
		}
	}
	cut()
	<-client
}

// refused is the kubelet's refusal as an error of the API.
func refused(err error) error {
	var refusal *upgrade.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	return errors.New("unable to upgrade connection: " + refusalText(refusal.Body))
}

// up passes on what the client sends until it sends no more. Once the kubelet takes
// nothing more, the rest is only read.
func (t *tunnel) up(kubelet net.Conn, ws *websocket.Conn) {
	buf := make([]byte, tunnelBuffer)
	taken := true
	for {
		kind, message, err := ws.NextReader()
		if err != nil {
			return
		}
		for kind == websocket.BinaryMessage {
			n, err := message.Read(buf)
			if n > 0 && taken {
				taken = t.write(kubelet, buf[:n]) == nil
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return
			}
		}
	}
}

func (t *tunnel) write(to net.Conn, p []byte) error {
	if err := to.SetWriteDeadline(t.clock.Now().Add(upgrade.Idle)); err != nil {
		return err
	}
	_, err := to.Write(p)
	return err
}

// down passes on what the kubelet sends, and says whether the client has taken all.
func (t *tunnel) down(ws *websocket.Conn, kubelet net.Conn) (taken bool) {
	buf := make([]byte, tunnelBuffer)
	for {
		n, err := kubelet.Read(buf)
		if n > 0 {
			if ws.SetWriteDeadline(t.clock.Now().Add(upgrade.Idle)) != nil || ws.WriteMessage(websocket.BinaryMessage, buf[:n]) != nil {
				return false
			}
			_ = ws.SetWriteDeadline(time.Time{})
		}
		if err != nil {
			return true
		}
	}
}
