package upgrade

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"laterna.dev/laterna/internal/clock"
)

// Handler passes upgraded connections through to a backend as they are: SPDY/3.1 and
// WebSockets. All but Gone and Hold is required.
type Handler struct {
	Backend Backend
	// Fail answers a request that did not come to an upgrade.
	Fail  func(w http.ResponseWriter, r *http.Request, err error)
	Clock clock.Wall
	// Gone, if set, says of a connection to the backend whether the backend has closed
	// it, while what it wrote before is not all read.
	Gone func(net.Conn) bool
	// Hold, if set, keeps the backend from waiting for a slow client.
	Hold *Hold

	beat time.Duration // shorter in tests
}

// ServeHTTP implements http.Handler. It returns when the connection has ended.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protocol, ok := upgradeOf(r.Header)
	framing := framingOf(protocol)
	if !ok || framing == nil {
		h.Fail(w, r, apierrors.NewBadRequest("Upgrade request required"))
		return
	}
	backend, header, err := h.Backend.Open(r.Context(), r.Method, protocol, r.Header)
	if err != nil {
		refuse(w, r, err, h.Fail)
		return
	}
	client, err := take(w, header)
	if err != nil {
		backend.Close()
		h.Fail(w, r, err)
		return
	}
	relay := &relay{
		client: client.Conn, backend: backend, framing: framing, clock: h.Clock,
		fromClient: bufio.NewReader(client), fromBackend: bufio.NewReaderSize(backend, bufferSize), pongs: newPongs(),
		beat: cmp.Or(h.beat, beat),
	}
	if h.Gone != nil {
		relay.gone = func() bool { return h.Gone(backend) }
	}
	if h.Hold != nil {
		relay.held = newHeld(h.Hold, func(p []byte) error { return relay.write(client.Conn, p) })
	}
	relay.run(r.Context())
}

// refuse passes on what a backend said instead of upgrading, as text: nothing of its
// header, and nothing that a browser would take for a page.
func refuse(w http.ResponseWriter, r *http.Request, err error, fail func(http.ResponseWriter, *http.Request, error)) {
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Code < 400 || refusal.Code > 599 {
		fail(w, r, err)
		return
	}
	kind := "text/plain; charset=utf-8"
	if t, _, err := mime.ParseMediaType(refusal.Type); err == nil && t == "application/json" {
		kind = t
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(refusal.Code)
	_, _ = w.Write(refusal.Body)
}

// Take makes a request's connection ours, and tells the client of the upgrade to
// protocol; header is told besides. A client that asks for another one is an error, and
// not answered.
func Take(w http.ResponseWriter, r *http.Request, protocol string, header http.Header) (*Conn, error) {
	wanted, ok := upgradeOf(r.Header)
	if !ok || !strings.EqualFold(wanted, protocol) {
		return nil, apierrors.NewBadRequest("Upgrade request to " + protocol + " required")
	}
	return take(w, toClient(header, protocol))
}

// take makes the request's connection ours, and tells the client of the upgrade.
func take(w http.ResponseWriter, header http.Header) (*Conn, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("error hijacking connection: %w", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		conn.Close()
		return nil, fmt.Errorf("error hijacking connection: %w", err)
	}
	out := buffered.Writer
	fmt.Fprintf(out, "HTTP/1.1 %d %s\r\n", http.StatusSwitchingProtocols, http.StatusText(http.StatusSwitchingProtocols))
	if err := header.Write(out); err != nil {
		conn.Close()
		return nil, err
	}
	fmt.Fprint(out, "\r\n")
	if err := out.Flush(); err != nil {
		conn.Close()
		return nil, err
	}
	// The server's own reader is left: it ends the request's context with the client's
	// input.
	rest, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	return &Conn{Conn: conn, rest: rest}, nil
}
