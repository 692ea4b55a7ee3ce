package podapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/gorilla/websocket"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/upgrade"
)

// The subprotocols of a WebSocket that forwards ports, with binary messages and with
// text in base64. None at all is the first.
const (
	binaryForward = "v4." + wsstream.ChannelWebSocketProtocol
	base64Forward = "v4." + wsstream.Base64ChannelWebSocketProtocol
)

// forwardSocket serves v4.channel.k8s.io: port i of the request has the channels 2i for
// its data and 2i+1 for what went wrong; the first message of each is the port's number.
// A WebSocket has no way to say that a client sends no more on one of them.
func (s *Server) forwardSocket(w http.ResponseWriter, r *http.Request, f *forwarding, ports []uint16) {
	up := &websocket.Upgrader{
		Subprotocols: []string{binaryForward, base64Forward},
		CheckOrigin:  func(*http.Request) bool { return true }, // callers have credentials of their own
	}
	if asked := websocket.Subprotocols(r); len(asked) > 0 && !slices.ContainsFunc(asked, func(p string) bool { return slices.Contains(up.Subprotocols, p) }) {
		fail(w, &Problem{http.StatusForbidden, fmt.Sprintf("unable to upgrade: unable to negotiate protocol: client supports %.200q, server accepts %q", asked, up.Subprotocols)})
		return
	}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // answered
	}
	defer ws.Close()
	upgrade.HoldLittle(ws.NetConn())
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(ctx, func() { ws.Close() })()
	m := &socketForward{Server: s, ws: ws, text: ws.Subprotocol() == base64Forward, inputs: make([]*io.PipeWriter, len(ports))}
	var all sync.WaitGroup
	for i, port := range ports {
		in, out := io.Pipe()
		m.inputs[i] = out
		all.Go(func() { m.forward(ctx, f, byte(2*i), port, in) })
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.read(cancel)
	}()
	all.Wait()
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if ws.WriteControl(websocket.CloseMessage, bye, s.cfg.Clock.Now().Add(upgrade.Idle)) == nil {
		upgrade.Linger(ctx, ws.NetConn(), done, s.cfg.Clock)
	}
	cancel()
	ws.Close()
	<-done
}

// maxText bounds a message in base64, in bytes.
const maxText = 1 << 20

// socketForward is a WebSocket with the connections on it.
type socketForward struct {
	*Server
	ws     *websocket.Conn
	text   bool
	inputs []*io.PipeWriter

	mu sync.Mutex // held while a message is written
}

// forward is the connection to one port. data is the number of its first channel.
func (m *socketForward) forward(ctx context.Context, f *forwarding, data byte, port uint16, in *io.PipeReader) {
	defer in.Close()
	fault := forwardChannel{m, data + 1}
	number := binary.LittleEndian.AppendUint16(nil, port)
	for _, c := range []forwardChannel{{m, data}, fault} {
		if _, err := c.Write(number); err != nil {
			return
		}
	}
	conn, done, err := f.connect(ctx, port)
	if err != nil {
		_, _ = fault.Write([]byte(err.Error()))
		return
	}
	defer done()
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { abort(conn) })()
	go upwards(conn, in, func() bool { return false })
	if !downwards(forwardChannel{m, data}, conn) && ctx.Err() == nil {
		_, _ = fmt.Fprintf(fault, "error forwarding port %d to pod %s, uid : the connection was reset", port, f.pod)
	}
}

// read passes messages on until the client sends no more, and then calls cancel.
func (m *socketForward) read(cancel context.CancelFunc) {
	defer cancel()
	buf := make([]byte, forwardBuffer)
	for {
		if m.ws.SetReadDeadline(m.cfg.Clock.Now().Add(upgrade.Idle)) != nil {
			return
		}
		_, message, err := m.ws.NextReader()
		if err != nil {
			return
		}
		if err := m.pass(message, buf); err != nil {
			return
		}
	}
}

// pass gives a message to the connection that it is for; those for none are dropped.
func (m *socketForward) pass(message io.Reader, buf []byte) error {
	if _, err := io.ReadFull(message, buf[:1]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil // an empty message
		}
		return err
	}
	channel := buf[0]
	if m.text {
		if channel -= '0'; channel > 9 {
			return nil
		}
		raw, err := bounded.All(message, maxText)
		if err != nil {
			return err
		}
		data, err := base64.StdEncoding.AppendDecode(nil, raw)
		if err != nil {
			return err
		}
		message = bytes.NewReader(data)
	}
	if channel%2 != 0 || int(channel)/2 >= len(m.inputs) {
		return nil
	}
	for {
		n, err := message.Read(buf)
		if n > 0 {
			if _, failed := m.inputs[channel/2].Write(buf[:n]); failed != nil {
				return nil // the connection has ended
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// forwardChannel writes to one channel of a WebSocket.
type forwardChannel struct {
	*socketForward
	number byte
}

// Write sends one message.
func (c forwardChannel) Write(p []byte) (int, error) {
	kind, message := websocket.BinaryMessage, append([]byte{c.number}, p...)
	if c.text {
		kind, message = websocket.TextMessage, base64.StdEncoding.AppendEncode([]byte{c.number + '0'}, p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ws.SetWriteDeadline(c.cfg.Clock.Now().Add(upgrade.Idle)) != nil {
		return 0, net.ErrClosed
	}
	if err := c.ws.WriteMessage(kind, message); err != nil {
		return 0, err
	}
	return len(p), nil
}
