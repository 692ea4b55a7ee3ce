package upgrade

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"laterna.dev/laterna/internal/clock"
)

// Through passes connections through whatever they are upgraded to: what goes over them
// is between a client and a backend. All is required.
type Through struct {
	Backend Backend
	// Fail answers a request that did not come to an upgrade.
	Fail  func(w http.ResponseWriter, r *http.Request, err error)
	Clock clock.Wall

	halfIdle time.Duration // shorter in tests
}

// ServeHTTP implements http.Handler. It returns when the connection has ended. The
// request must ask for an upgrade.
func (t *Through) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	backend, header, err := t.Backend.Open(r.Context(), r.Method, Of(r), r.Header)
	if err != nil {
		refuse(w, r, err, t.Fail)
		return
	}
	client, err := take(w, header)
	if err != nil {
		backend.Close()
		t.Fail(w, r, err)
		return
	}
	join(r.Context(), client, backend, t.Clock, cmp.Or(t.halfIdle, halfIdle))
}

// join passes bytes on both ways, a buffer at a time, and the end of each way when it
// comes: the other one goes on. It returns when both have ended or ctx has, or when
// nothing has moved for Idle, or half once one way has ended; both connections are then
// closed.
func join(ctx context.Context, client, backend *Conn, clk clock.Wall, half time.Duration) {
	HoldLittle(client)
	cut := func() {
		backend.Close()
		client.Close()
	}
	defer context.AfterFunc(ctx, cut)()
	watch := newIdleWatch(clk, cut)
	up := make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() {
		defer close(up)
		if pass(backend, client, watch) {
			watch.halved(half)
			_ = closeWrite(backend.Conn)
			return
		}
		// What the backend wrote before it went is still to come, and a client that is not
		// read has what it sends answered with a reset, which would cost it that.
		_, _ = io.Copy(io.Discard, client)
	})
	if pass(client, backend, watch) {
		watch.halved(half)
		Linger(ctx, client.Conn, up, clk)
	}
	watch.stop()
	cut()
	both.Wait()
}

// pass passes on what from sends until its end, and says whether to has taken all.
func pass(to, from *Conn, watch *idleWatch) (all bool) {
	buf := make([]byte, bufferSize)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			watch.moved()
			if _, failed := to.Write(buf[:n]); failed != nil {
				return false
			}
			watch.moved()
		}
		if err != nil {
			return errors.Is(err, io.EOF) || !errors.Is(err, net.ErrClosed)
		}
	}
}

// halfIdle is how long the other way may stand still when one has ended: clients that go
// away end theirs, too.
const halfIdle = time.Minute

// idleWatch calls cut when nothing has moved for a while.
type idleWatch struct {
	clock clock.Wall
	ended chan struct{}
	half  chan time.Duration

	mu   sync.Mutex
	last time.Time
}

func newIdleWatch(clk clock.Wall, cut func()) *idleWatch {
	w := &idleWatch{clock: clk, last: clk.Now(), ended: make(chan struct{}), half: make(chan time.Duration, 2)}
	go w.run(cut)
	return w
}

func (w *idleWatch) run(cut func()) {
	limit := Idle
	for left := limit; left > 0; {
		timer := w.clock.NewTimer(left)
		select {
		case <-timer.C():
		case limit = <-w.half:
			timer.Stop()
		case <-w.ended:
			timer.Stop()
			return
		}
		w.mu.Lock()
		left = limit - w.clock.Since(w.last)
		w.mu.Unlock()
	}
	cut()
}

func (w *idleWatch) moved() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = w.clock.Now()
}

// halved says that one way has ended.
func (w *idleWatch) halved(limit time.Duration) {
	w.moved()
	w.half <- limit
}

func (w *idleWatch) stop() { close(w.ended) }
