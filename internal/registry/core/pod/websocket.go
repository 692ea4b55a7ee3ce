package pod

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	constants "k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/tools/remotecommand"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/upgrade"
)

const (
	// heartbeat is how often a client is told that the server lives while it cannot be
	// listened to: kubectl waits 61 s for that.
	heartbeat = 10 * time.Second
	// silence is how long nothing may be written to a client that has gone without a
	// word before its session is ended.
	silence = 2 * time.Second
)

// socket is a client's WebSocket with the channels of v5.channel.k8s.io: the first byte
// of each message is the channel's number.
type socket struct {
	ws    *websocket.Conn
	clock clock.Wall
	asked streams

	stdin  *io.PipeReader
	typed  *io.PipeWriter
	sizes  chan remotecommand.TerminalSize // the newest
	pong   chan string
	done   chan struct{} // closed when the client has said its last
	ended  chan struct{} // closed by close
	closed sync.Once

	mu sync.Mutex // held while a message is written
	// stuck is set while the client's input waits for the process to read it.
	stuck atomic.Bool
	wrote atomic.Int64 // when a message was last written, in Unix nanoseconds
}

// openSocket upgrades a request; an error has been answered.
func openSocket(w http.ResponseWriter, req *http.Request, asked streams, clk clock.Wall) (*socket, error) {
	up := &websocket.Upgrader{
		Subprotocols: []string{constants.StreamProtocolV5Name},
		// Dashboards of other origins connect with a token among the subprotocols.
		CheckOrigin: func(*http.Request) bool { return true },
	}
	ws, err := up.Upgrade(w, req, nil)
	if err != nil {
		return nil, err
	}
	upgrade.HoldLittle(ws.NetConn())
	s := &socket{
		ws: ws, clock: clk, asked: asked, sizes: make(chan remotecommand.TerminalSize, 1),
		pong: make(chan string, 1), done: make(chan struct{}), ended: make(chan struct{}),
	}
	s.stdin, s.typed = io.Pipe()
	ws.SetPingHandler(func(data string) error {
		select {
		case s.pong <- data:
		default: // one is on its way
		}
		return nil
	})
	go s.answer()
	// The client learns from an empty message that the streams stand.
	if _, err := s.channel(s.first()).Write(nil); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// first is the lowest channel that is written.
func (s *socket) first() byte {
	switch {
	case s.asked.stdout:
		return constants.StreamStdOut
	case s.asked.stderr:
		return constants.StreamStdErr
	}
	return constants.StreamErr
}

// options are the streams as the executor takes them.
func (s *socket) options() remotecommand.StreamOptions {
	o := remotecommand.StreamOptions{Tty: s.asked.tty}
	if s.asked.stdin {
		o.Stdin = s.stdin
	}
	if s.asked.stdout {
		o.Stdout = s.channel(constants.StreamStdOut)
	}
	if s.asked.stderr {
		o.Stderr = s.channel(constants.StreamStdErr)
	}
	if s.asked.tty {
		o.TerminalSizeQueue = s
	}
	return o
}

// Next implements remotecommand.TerminalSizeQueue; nil means that no more sizes come.
func (s *socket) Next() *remotecommand.TerminalSize {
	select {
	case size := <-s.sizes:
		return &size
	case <-s.done:
	case <-s.ended:
	}
	return nil
}

// channel writes to one channel of a socket.
type channel struct {
	*socket
	number byte
}

func (s *socket) channel(number byte) io.Writer { return channel{s, number} }

// Write sends one message. A client that takes nothing of it for upgrade.Idle is cut.
func (c channel) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ws.SetWriteDeadline(c.clock.Now().Add(upgrade.Idle)); err != nil {
		return 0, err
	}
	if err := c.ws.WriteMessage(websocket.BinaryMessage, append([]byte{c.number}, p...)); err != nil {
		return 0, err
	}
	c.wrote.Store(c.clock.Now().UnixNano())
	return len(p), nil
}

// answer sends pongs, also unasked ones while pings are not read.
func (s *socket) answer() {
	ticker := s.clock.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		data := ""
		select {
		case <-s.ended:
			return
		case data = <-s.pong:
		case <-ticker.C():
			if !s.stuck.Load() {
				continue
			}
		}
		if err := s.ws.WriteControl(websocket.PongMessage, []byte(data), s.clock.Now().Add(upgrade.Idle)); err != nil && !errors.Is(err, websocket.ErrCloseSent) {
			s.close() // nobody is there
		}
	}
}

// serve reads what the client sends until it sends no more, then calls cancel: at once
// if it says so, else when nothing is written to it either.
func (s *socket) serve(cancel context.CancelFunc) {
	err := s.read()
	s.typed.Close()
	defer cancel()
	defer close(s.done)
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) && !websocket.IsCloseError(err, websocket.CloseAbnormalClosure) {
		return
	}
	for {
		since := s.clock.Since(time.Unix(0, s.wrote.Load()))
		if since >= silence {
			return
		}
		timer := s.clock.NewTimer(silence - since)
		select {
		case <-timer.C():
		case <-s.ended:
			timer.Stop()
			return
		}
	}
}

// read passes messages on to the streams, piece by piece.
func (s *socket) read() error {
	buf := make([]byte, 16<<10)
	for {
		_, message, err := s.ws.NextReader()
		if err != nil {
			return err
		}
		if _, err := io.ReadFull(message, buf[:1]); err != nil {
			continue // an empty message
		}
		switch buf[0] {
		case constants.StreamStdIn:
			s.feed(message, buf)
		case constants.StreamResize:
			s.resize(message)
		case constants.StreamClose:
			if _, err := io.ReadFull(message, buf[:1]); err == nil && buf[0] == constants.StreamStdIn {
				s.typed.Close()
			}
		}
	}
}

// feed copies a message to the process; what it does not take any more is dropped.
func (s *socket) feed(message io.Reader, buf []byte) {
	for s.asked.stdin {
		n, err := message.Read(buf)
		if n > 0 {
			s.stuck.Store(true)
			_, failed := s.typed.Write(buf[:n])
			s.stuck.Store(false)
			if failed != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// maxSize bounds the message about a terminal's size, in bytes.
const maxSize = 1 << 10

// resize keeps the newest size for Next.
func (s *socket) resize(message io.Reader) {
	raw, err := bounded.All(message, maxSize)
	var size remotecommand.TerminalSize
	if err != nil || json.Unmarshal(raw, &size) != nil {
		return
	}
	select {
	case <-s.sizes:
	default:
	}
	s.sizes <- size // only this goroutine sends
}

// finish tells the client how it ended, and waits until the client has taken all and
// closes.
func (s *socket) finish(ctx context.Context, status metav1.Status) {
	s.stdin.Close()
	select {
	case <-s.done:
		return // nobody is there
	case <-ctx.Done():
		return
	default:
	}
	text, err := json.Marshal(status)
	if err != nil {
		return
	}
	if _, err := s.channel(constants.StreamErr).Write(text); err != nil {
		return
	}
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := s.ws.WriteControl(websocket.CloseMessage, bye, s.clock.Now().Add(upgrade.Idle)); err != nil {
		return
	}
	upgrade.Linger(ctx, s.ws.NetConn(), s.done, s.clock)
}

// close ends the connection and whatever waits for it.
func (s *socket) close() {
	s.closed.Do(func() {
		close(s.ended)
		s.stdin.Close()
		s.ws.Close()
	})
}
