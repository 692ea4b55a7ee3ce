package upgrade

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"laterna.dev/laterna/internal/clock"
)

// Idle is how long a connection may stand still before it is cut: nothing comes of
// either side, or a client takes nothing of what it was sent. Kubelets have the same.
const Idle = 4 * time.Hour

const (
	bufferSize = 32 << 10
	// quiet is how long a backend may be silent once its client has said that it sends
	// no more: clients that go away say it too, and do not read.
	quiet = 2 * time.Second
)

// relay is one upgraded connection on its way through. Each direction is passed on as
// fast as the receiver takes it, a buffer at a time; nothing else is held.
type relay struct {
	client  net.Conn
	backend net.Conn
	framing framing
	clock   clock.Wall
	// gone says whether the backend has closed although not all of it is read yet.
	gone func() bool
	beat time.Duration
	// held, if set, is where what is for the client goes first.
	held *held

	fromClient  *bufio.Reader
	fromBackend *bufio.Reader
	// toClient is held while a frame is written: pongs go between frames.
	toClient sync.Mutex
	pongs    pongs

	// resting is set while all that came of the backend has been passed on.
	resting atomic.Bool
	// stuck is set while the backend does not take what the client sent.
	stuck atomic.Bool
	// over is set when nothing may be sent to the backend any more.
	over atomic.Bool
	// leaving is set when the client sends no more.
	leaving atomic.Bool
	// moved is when something was last read, in Unix nanoseconds.
	moved atomic.Int64
}

// run passes frames on until both sides are done; both connections are then closed.
func (r *relay) run(ctx context.Context) {
	r.moved.Store(r.clock.Now().UnixNano())
	HoldLittle(r.client)
	defer context.AfterFunc(ctx, r.cut)()
	var both sync.WaitGroup
	both.Go(r.answer)
	if r.held != nil {
		both.Go(r.held.run)
	}
	up := make(chan struct{})
	both.Go(func() {
		defer close(up)
		r.up()
	})
	if r.down() {
		r.over.Store(true)
		r.backend.Close()
		if r.held != nil {
			r.held.flush()
		}
		Linger(ctx, r.client, up, r.clock)
	}
	r.cut()
	r.pongs.close()
	if r.held != nil {
		r.held.end()
	}
	both.Wait()
}

func (r *relay) cut() {
	r.backend.Close()
	r.client.Close()
}

// down passes the backend's frames on and says whether they came to their end.
func (r *relay) down() (ended bool) {
	buf := make([]byte, bufferSize)
	for {
		r.resting.Store(r.fromBackend.Buffered() == 0)
		f, err := r.next(r.backend, r.fromBackend)
		r.resting.Store(false)
		if err != nil {
			return !errors.Is(err, os.ErrDeadlineExceeded)
		}
		r.toClient.Lock()
		err = r.copy(r.fromBackend, f, buf, r.tell)
		r.toClient.Unlock()
		if err != nil {
			return errors.Is(err, errSource) // else the client is gone
		}
	}
}

// up passes the client's frames on. Once the backend has ended they are only read.
func (r *relay) up() {
	buf := make([]byte, bufferSize)
	for {
		f, err := r.next(r.client, r.fromClient)
		switch {
		case errors.Is(err, io.EOF) && !r.over.Load():
			r.leave()
			return
		case err != nil:
			r.backend.Close()
			return
		case f.ping:
			err = r.ping(f, buf)
		default:
			err = r.pass(f, buf)
		}
		if err != nil {
			r.backend.Close()
			return
		}
	}
}

// leave cuts the backend when it is silent for a while.
func (r *relay) leave() {
	r.leaving.Store(true)
	_ = r.backend.SetReadDeadline(r.clock.Now().Add(quiet))
}

// ping answers a ping here, unless the backend rests: then it is passed on, which keeps
// the session from standing idle there.
func (r *relay) ping(f frame, buf []byte) error {
	f.head = append([]byte(nil), f.head...)
	if _, err := r.fromClient.Discard(len(f.head)); err != nil {
		return err
	}
	payload := buf[:f.size]
	if _, err := io.ReadFull(r.fromClient, payload); err != nil {
		return err
	}
	pong := r.framing.pong(f, payload)
	if pong != nil && (r.behind() || r.ended()) {
		r.pongs.add(pong)
		return nil
	}
	r.send(append(f.head, payload...))
	return nil
}

// pass sends a frame to the backend, piece by piece.
func (r *relay) pass(f frame, buf []byte) error {
	return r.copy(r.fromClient, f, buf, func(p []byte) error {
		r.send(p)
		return nil
	})
}

// send gives the backend what it still takes. When it takes nothing more the client is
// still to be read, and what the backend wrote before is still to come.
func (r *relay) send(p []byte) {
	if r.ended() {
		return
	}
	r.stuck.Store(true)
	if r.write(r.backend, p) != nil {
		r.over.Store(true)
	}
	r.stuck.Store(false)
}

// behind says whether something of the backend waits to be passed on.
func (r *relay) behind() bool { return !r.resting.Load() || arrived(r.backend) > 0 }

// ended says whether the backend takes nothing more. What would be sent to it then cost
// what has not been read of it.
func (r *relay) ended() bool {
	if !r.over.Load() && r.gone != nil && r.behind() && r.gone() {
		r.over.Store(true)
	}
	return r.over.Load()
}

// next waits for a frame on a connection, Idle at most after the last one on either.
func (r *relay) next(c net.Conn, in *bufio.Reader) (frame, error) {
	for {
		if err := c.SetReadDeadline(r.until(c)); err != nil {
			return frame{}, err
		}
		f, err := r.framing.next(in)
		if err == nil {
			r.moved.Store(r.clock.Now().UnixNano())
			return f, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || c == r.backend && r.leaving.Load() {
			return frame{}, err
		}
		if until := r.until(c); !until.IsZero() && !until.After(r.clock.Now()) {
			return frame{}, err
		}
	}
}

// until is when waiting for a connection ends; zero means never.
func (r *relay) until(c net.Conn) time.Time {
	switch {
	case c == r.backend && r.leaving.Load():
		return r.clock.Now().Add(quiet)
	case c == r.client && r.over.Load():
		return time.Time{} // Linger has the time
	}
	return time.Unix(0, r.moved.Load()).Add(Idle)
}

// errSource is wrapped by the errors of copy that are about the reading side.
var errSource = errors.New("reading a frame")

// copy passes one frame on to write.
func (r *relay) copy(in *bufio.Reader, f frame, buf []byte, write func([]byte) error) error {
	n := copy(buf, f.head)
	if _, err := in.Discard(n); err != nil {
		return errSource
	}
	for left := f.size; ; {
		m := 0
		if left > 0 {
			var err error
			if m, err = in.Read(buf[n:min(int64(len(buf)), int64(n)+left)]); err != nil {
				return errSource
			}
			left -= int64(m)
		}
		if err := write(buf[:n+m]); err != nil {
			return err
		}
		if n = 0; left == 0 {
			return nil
		}
	}
}

// tell writes to the client, or has it written.
func (r *relay) tell(p []byte) error {
	if r.held != nil {
		_, err := r.held.Write(p)
		return err
	}
	return r.write(r.client, p)
}

func (r *relay) write(to net.Conn, p []byte) error {
	if err := to.SetWriteDeadline(r.clock.Now().Add(Idle)); err != nil {
		return err
	}
	_, err := to.Write(p)
	return err
}
