package dns

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

const (
	// patience is how many questions in a row a server may leave without an answer, each
	// for the time of a look, before it counts as one that hangs.
	patience = 3
	// begin is how many looks a server may take until it answers: it waits for the API
	// some seconds.
	begin = 12
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 4 << 10
)

// pulse asks a server about a name that it knows by itself, by a connection that nobody else
// has: what pods ask, and what becomes of the bridge, is no reason to end it.
type pulse struct {
	conn net.Conn
	// name is that of the question; answered is the last that was answered.
	name     string
	answered atomic.Uint32

	// Of one goroutine:
	asked  uint32
	missed int
}

// newPulse also returns the server's end, which the caller closes.
func newPulse(domain string) (*pulse, *os.File, error) {
	// Packets, so that each is one question or one answer.
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting with cluster DNS: %w", err)
	}
	own, theirs := os.NewFile(uintptr(fds[0]), "pulse"), os.NewFile(uintptr(fds[1]), "pulse")
	conn, err := net.FileConn(own)
	own.Close()
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("connecting with cluster DNS: %w", err)
	}
	p := &pulse{conn: conn, name: dns.Fqdn(domain)}
	go p.listen()
	return p, theirs, nil
}

// listen notes what is answered until the connection ends.
func (p *pulse) listen() {
	buffer := make([]byte, maxAnswer)
	for {
		n, err := p.conn.Read(buffer)
		if err != nil {
			return
		}
		var m dns.Msg
		if m.Unpack(buffer[:n]) == nil && m.Response {
			p.answered.Store(uint32(m.Id))
		}
	}
}

// beats asks once more, and tells whether the server may still be waited for: one that is
// asked for the first time may, and one that has not left too many questions unanswered.
// now is real time.
func (p *pulse) beats(now time.Time) bool {
	if p.asked != 0 && p.answered.Load() != p.asked {
		p.missed++
	} else {
		p.missed = 0
	}
	if p.missed >= patience {
		return false
	}
	p.asked = p.asked%0xffff + 1
	question := new(dns.Msg).SetQuestion(p.name, dns.TypeSOA)
	question.Id = uint16(p.asked)
	// What does not fit is not asked, and so not answered.
	if raw, err := question.Pack(); err == nil {
		_ = p.conn.SetWriteDeadline(now.Add(time.Second))
		_, _ = p.conn.Write(raw)
	}
	return true
}

func (p *pulse) close() { p.conn.Close() }
