package podapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	portforward "k8s.io/apimachinery/pkg/util/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"laterna.dev/laterna/internal/upgrade"
)

const (
	// pairTimeout is how long the second stream of a connection may take to come.
	pairTimeout = 30 * time.Second
	// streamsEach bounds the streams of one client, two to a connection and as many again
	// that are told that they are too many. A client that opens more is cut.
	streamsEach = 4 * forwardsEach
)

// forwardSPDY serves portforward.k8s.io: each connection is a stream for its data and one
// for what went wrong, which the client opens.
func (s *Server) forwardSPDY(w http.ResponseWriter, r *http.Request, f *forwarding) {
	if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardV1Name}); err != nil {
		return // answered
	}
	raw, err := upgrade.Take(w, r, spdy.HeaderSpdy31, w.Header())
	if err != nil {
		fail(w, err)
		return
	}
	defer raw.Close()
	upgrade.HoldLittle(raw)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	// Closing it ends whoever waits to write to a client that does not read.
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	session := &spdySession{
		Server: s, forwarding: f, ctx: ctx, begun: make(chan struct{}),
		streams: map[uint32]*clientStream{}, pairs: map[string]*pair{},
	}
	conn, err := spdy.NewServerConnection(upgrade.Watch(raw, session), session.accept)
	if err != nil {
		s.cfg.Log.Debug("port-forward not begun", "error", err)
		return
	}
	session.conn = conn
	close(session.begun)
	conn.SetIdleTimeout(upgrade.Idle)
	select {
	case <-conn.CloseChan():
	case <-ctx.Done():
	}
	cancel()
	raw.Close()
	session.cut()
	conn.Close()
	session.all.Wait()
}

// spdySession is one client's connection with its streams.
type spdySession struct {
	*Server
	*forwarding
	ctx   context.Context
	conn  httpstream.Connection
	begun chan struct{} // closed once conn is set
	all   sync.WaitGroup

	mu      sync.Mutex
	ended   bool
	streams map[uint32]*clientStream
	pairs   map[string]*pair // that wait for their second stream
}

// clientStream is what is known of a stream by its frames.
type clientStream struct {
	finished, reset bool
	conn            *net.TCPConn // of the pod, for a stream of data
}

// pair are the streams of a connection.
type pair struct {
	data, fault httpstream.Stream
	// replied are closed when the library above has done with the opening of a stream.
	replied  []<-chan struct{}
	complete chan struct{}
}

var errStreams = fmt.Errorf("more than %d streams at a time", streamsEach)

// Opened implements upgrade.Watcher.
func (c *spdySession) Opened(stream uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.streams) >= streamsEach {
		return errStreams
	}
	c.streams[stream] = &clientStream{}
	return nil
}

// Finished implements upgrade.Watcher.
func (c *spdySession) Finished(stream uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[stream]; s != nil {
		s.finished = true
	}
}

// Reset implements upgrade.Watcher. The pod is told too.
func (c *spdySession) Reset(stream uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[stream]; s != nil {
		s.reset = true
		if s.conn != nil {
			abort(s.conn)
		}
	}
}

// cut ends the connections to the pod.
func (c *spdySession) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for _, s := range c.streams {
		if s.conn != nil {
			abort(s.conn)
		}
	}
}

// give has a stream's end passed on to a connection; false if the end has come.
func (c *spdySession) give(stream httpstream.Stream, conn *net.TCPConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[stream.Identifier()]
	if s == nil || s.reset || c.ended {
		return false
	}
	s.conn = conn
	return true
}

// meant says whether a stream's end was sent by the client.
func (c *spdySession) meant(stream httpstream.Stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[stream.Identifier()]
	return s != nil && s.finished && !s.reset && !c.ended
}

// forget ends streams, which may be nil, and what is known of them.
func (c *spdySession) forget(streams ...httpstream.Stream) {
	for _, s := range streams {
		if s == nil {
			continue
		}
		_ = s.Reset() // one that is finished on our side is only removed
		c.conn.RemoveStreams(s)
		c.mu.Lock()
		delete(c.streams, s.Identifier())
		c.mu.Unlock()
	}
}

// accept takes a stream that the client opens. An error resets it.
func (c *spdySession) accept(stream httpstream.Stream, replied <-chan struct{}) error {
	<-c.begun
	port, err := c.place(stream, replied)
	if err != nil {
		c.mu.Lock()
		delete(c.streams, stream.Identifier())
		c.mu.Unlock()
		return fmt.Errorf("port-forward to pod %s, port %d: %w", c.pod, port, err)
	}
	return nil
}

// place finds a stream's pair, and has it served when both streams are there.
func (c *spdySession) place(stream httpstream.Stream, replied <-chan struct{}) (uint16, error) {
	headers := stream.Headers()
	port, err := portOf(headers.Get(corev1.PortHeader))
	if err != nil {
		return 0, err
	}
	kind := headers.Get(corev1.StreamType)
	if kind != corev1.StreamTypeData && kind != corev1.StreamTypeError {
		return port, fmt.Errorf("invalid stream type %.20q", kind)
	}
	id := headers.Get(corev1.PortForwardRequestIDHeader)
	if id == "" {
		id = unnamed(stream.Identifier(), kind)
	}
	// Writing to a stream waits for its reply, for ever where that could not be sent.
	if s, ok := stream.(interface {
		SendReply(http.Header, bool) error
	}); ok {
		if err := s.SendReply(http.Header{}, false); err != nil {
			return port, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return port, errors.New("the connection has ended")
	}
	p := c.pairs[id]
	if p == nil {
		p = &pair{complete: make(chan struct{})}
		c.pairs[id] = p
		c.all.Go(func() { c.serve(id, p, port) })
	}
	mine := &p.data
	if kind == corev1.StreamTypeError {
		mine = &p.fault
	}
	if *mine != nil {
		return port, fmt.Errorf("a second stream of type %s for one request", kind)
	}
	*mine, p.replied = stream, append(p.replied, replied)
	if p.data != nil && p.fault != nil {
		delete(c.pairs, id)
		close(p.complete)
	}
	return port, nil
}

// unnamed is the request of a stream whose client names none, as old ones do: they open
// the stream of errors first, and that of data next.
func unnamed(stream uint32, kind string) string {
	if kind == corev1.StreamTypeData {
		stream -= 2
	}
	return "stream " + strconv.FormatUint(uint64(stream), 10)
}

// both waits for both streams of a pair, and says whether they have come.
func (c *spdySession) both(id string, p *pair) bool {
	timer := c.cfg.Clock.NewTimer(pairTimeout)
	defer timer.Stop()
	select {
	case <-p.complete:
	case <-timer.C():
	case <-c.ctx.Done():
	}
	c.mu.Lock()
	replied := p.replied
	come := p.data != nil && p.fault != nil
	if !come {
		delete(c.pairs, id)
	}
	c.mu.Unlock()
	for _, r := range replied {
		<-r
	}
	return come
}

// serve is one connection to a port.
func (c *spdySession) serve(id string, p *pair, port uint16) {
	come := c.both(id, p)
	defer c.forget(p.data, p.fault)
	if p.fault != nil {
		defer p.fault.Close()
	}
	if !come {
		if p.fault != nil && c.ctx.Err() == nil {
			_, _ = p.fault.Write([]byte("timed out waiting for the stream of data"))
		}
		return
	}
	conn, done, err := c.connect(c.ctx, port)
	if err != nil {
		_, _ = p.fault.Write([]byte(err.Error()))
		return
	}
	defer done()
	defer conn.Close()
	if !c.give(p.data, conn) {
		abort(conn)
		return
	}
	up := make(chan struct{})
	go func() {
		defer close(up)
		upwards(conn, p.data, func() bool { return c.meant(p.data) })
	}()
	if downwards(p.data, conn) {
		_ = p.data.Close()
	} else {
		_ = p.data.Reset()
		abort(conn)
	}
	// Nothing more can go wrong that the client would want to know: it may wait for that.
	_ = p.fault.Close()
	<-up
}
