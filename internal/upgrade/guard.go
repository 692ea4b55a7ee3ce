package upgrade

import (
	"bytes"
	"net"
	"sync"
	"time"

	"laterna.dev/laterna/internal/clock"
)

// Guard returns a connection for one request whose answer must have come, from its first
// byte to the end of its header, within wait; an answer that is no success to its end.
// Before the first byte, and in the body of a success, time does not count: a log may be
// silent for hours. The size of a header is the HTTP client's to bound.
func Guard(c net.Conn, wait time.Duration, clk clock.Wall) net.Conn {
	return &guarded{Conn: c, wait: wait, clock: clk}
}

type guarded struct {
	net.Conn
	wait  time.Duration
	clock clock.Wall

	mu    sync.Mutex
	line  []byte // the beginning of the line that is being read, cut
	begun bool
	good  bool // the header is that of a success
	free  bool // time does not count any more
}

// maxStatus is how much of a line is looked at: "HTTP/1.1 200".
const maxStatus = 12

// Read implements net.Conn.
func (g *guarded) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	g.mu.Lock()
	defer g.mu.Unlock()
	if n == 0 || g.free {
		return n, err
	}
	if !g.begun {
		g.begun = true
		if err := g.Conn.SetReadDeadline(g.clock.Now().Add(g.wait)); err != nil {
			return n, err
		}
	}
	if g.look(p[:n]); g.free {
		if err := g.Conn.SetReadDeadline(time.Time{}); err != nil {
			return n, err
		}
	}
	return n, err
}

// look follows the header, which ends with an empty line.
func (g *guarded) look(p []byte) {
	for _, b := range p {
		if b != '\n' {
			if len(g.line) < maxStatus {
				g.line = append(g.line, b)
			}
			continue
		}
		line := bytes.TrimSuffix(g.line, []byte("\r"))
		if bytes.HasPrefix(line, []byte("HTTP/1.")) && len(line) == maxStatus {
			g.good = line[9] == '2'
		}
		if g.line = g.line[:0]; len(line) == 0 && g.good {
			g.free = true
			return
		}
	}
}
