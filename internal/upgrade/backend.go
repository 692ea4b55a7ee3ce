package upgrade

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/clock"
)

// MaxHead bounds what is read of a backend before the upgrade, in bytes: its status
// line and header, and with a refusal the body too.
const MaxHead = 64 << 10

// Backend is the server that a connection is asked of. Every field is required unless it
// says otherwise.
type Backend struct {
	// Dial opens the connection, TLS included; it bounds its own time.
	Dial func(ctx context.Context) (net.Conn, error)
	// URL is what is asked for there: path and query; its host is named in the request.
	URL *url.URL
	// Host is named in the request instead. Optional.
	Host string
	// Whole passes headers on as they are, both ways: for a backend that serves clients,
	// not this server. Credentials of the client stay here all the same. Optional.
	Whole bool
	// Wait bounds the time from the request to the end of the answer.
	Wait time.Duration
	// Clock is real time, as deadlines of sockets are.
	Clock clock.Wall
}

// ErrTooLong is the error for a backend that answered with more than MaxHead.
var ErrTooLong = errors.New("the answer to the upgrade request is longer than 64 KiB")

// Refusal is the error for a backend that answered something else than an upgrade.
type Refusal struct {
	Code int
	// Type is the media type of Body.
	Type string
	// Body may be cut.
	Body []byte
}

// Error implements error.
func (r *Refusal) Error() string {
	return fmt.Sprintf("invalid upgrade response: status code %d", r.Code)
}

// Open asks for the upgrade to protocol that a client's header describes. The header
// returned is what the client is to be told. Errors other than a *Refusal are about the
// way to the backend. The connection outlives ctx.
func (b Backend) Open(ctx context.Context, method, protocol string, client http.Header) (*Conn, http.Header, error) {
	raw, err := b.Dial(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("error dialing backend: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	conn, header, err := b.ask(raw, method, protocol, client)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		raw.Close()
		return nil, nil, err
	}
	return conn, header, nil
}

func (b Backend) ask(raw net.Conn, method, protocol string, client http.Header) (*Conn, http.Header, error) {
	if err := raw.SetDeadline(b.Clock.Now().Add(b.Wait)); err != nil {
		return nil, nil, fmt.Errorf("error dialing backend: %w", err)
	}
	req := &http.Request{Method: method, URL: b.URL, Host: cmp.Or(b.Host, b.URL.Host), Header: b.asked(client, protocol)}
	if err := req.Write(raw); err != nil {
		return nil, nil, fmt.Errorf("error sending request: %w", err)
	}
	head := &headReader{from: raw, left: MaxHead}
	in := bufio.NewReader(head)
	resp, err := http.ReadResponse(in, req)
	switch {
	case err != nil && head.left == 0:
		return nil, nil, ErrTooLong // whatever the cut made of it
	case err != nil:
		return nil, nil, fmt.Errorf("error reading the answer to the upgrade request: %w", cause(err))
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := bounded.Beginning(resp.Body, MaxHead) // what came of it is told, cut or not
		return nil, nil, &Refusal{Code: resp.StatusCode, Type: resp.Header.Get("Content-Type"), Body: body}
	}
	if got, ok := upgradeOf(resp.Header); !ok || !strings.EqualFold(got, protocol) {
		return nil, nil, fmt.Errorf("invalid upgrade response: upgraded to %.40q, not %q", got, protocol)
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return nil, nil, fmt.Errorf("error dialing backend: %w", err)
	}
	rest, _ := in.Peek(in.Buffered())
	return &Conn{Conn: raw, rest: rest}, b.answered(resp.Header, protocol), nil
}

func (b Backend) asked(client http.Header, protocol string) http.Header {
	if b.Whole {
		return wholeToBackend(client, protocol)
	}
	return toBackend(client, protocol)
}

func (b Backend) answered(answer http.Header, protocol string) http.Header {
	if b.Whole {
		return wholeToClient(answer, protocol)
	}
	return toClient(answer, protocol)
}

// cause names what is wrong with an answer that cannot be read, and repeats none of it.
func cause(err error) error {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("it did not come in time")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection ended before it")
	}
	return errors.New("it is not HTTP, or the connection broke")
}

// headReader reads at most left bytes and then fails.
type headReader struct {
	from io.Reader
	left int
}

// Read implements io.Reader.
func (b *headReader) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, ErrTooLong
	}
	n, err := b.from.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// Conn is an upgraded connection to a backend.
type Conn struct {
	net.Conn
	rest []byte // came with the answer
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.rest) > 0 {
		n := copy(p, c.rest)
		c.rest = c.rest[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// NetConn returns the connection below, as tls.Conn does.
func (c *Conn) NetConn() net.Conn { return c.Conn }
