package answers

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/endpoints/responsewriter"

	"laterna.dev/laterna/internal/apiserver/fairshare"
)

// reading is a request that is being answered, and how far its client has read.
type reading struct {
	// ends is when the response is cut whatever its client does, zero for never, and
	// stall how long the client may read nothing.
	ends  time.Time
	stall time.Duration
	// end cancels the request, control reaches its connection.
	end     context.CancelCauseFunc
	control *http.ResponseController
	// began tells that the response has begun.
	began atomic.Bool
	// stuck is since when the client has read nothing, in Unix nanoseconds, or 0.
	stuck atomic.Int64
	// starved is since when the client has sent nothing of what it is to send, or 0.
	starved atomic.Int64
	// owed is by how many nanoseconds the client is behind one that goes on.
	owed atomic.Int64
	// seat is where the request has one, nil while it has none.
	seat atomic.Pointer[seated]

	// visit is the request's at a gate, once it is known whose it is; nil for most
	// requests. form is set before visit.
	visit atomic.Pointer[fairshare.Visit]
	form  listForm

	mu   sync.Mutex
	left bool
	// leaving is what is to be done when the request has ended.
	leaving []func()
}

type readingKey struct{}

// readingOf returns the request that ctx belongs to; nil for the server's own work.
func readingOf(ctx context.Context) *reading {
	r, _ := ctx.Value(readingKey{}).(*reading)
	return r
}

// atEnd calls f when the request has ended, at once if it has.
func (r *reading) atEnd(f func()) {
	r.mu.Lock()
	left := r.left
	if !left {
		r.leaving = append(r.leaving, f)
	}
	r.mu.Unlock()
	if left {
		f()
	}
}

// leave tells that the request has ended.
func (r *reading) leave() {
	r.mu.Lock()
	leaving := r.leaving
	r.left, r.leaving = true, nil
	r.mu.Unlock()
	for _, f := range leaving {
		f()
	}
}

// cut ends a response whose client does not read it: what is written now and later
// fails.
func (r *reading) cut() {
	r.end(errCut)
	// Where there is no deadline to set there is no connection either.
	_ = r.control.SetWriteDeadline(time.Unix(1, 0))
}

// giveUp ends a request that is late: its handler, and also what waits for a body that
// does not come.
func (r *reading) giveUp() {
	r.end(errLate)
	// Where there is no deadline to set there is no connection either.
	_ = r.control.SetReadDeadline(time.Unix(1, 0))
}

// overdue tells whether the response is to be cut.
func (r *reading) overdue(now time.Time) bool {
	since := r.stuck.Load()
	if since == 0 {
		return false
	}
	return now.Sub(time.Unix(0, since)) > r.stall || !r.ends.IsZero() && now.After(r.ends)
}

// pieceBytes is how much is written before it counts that the client goes on reading.
const pieceBytes = 64 << 10

// trackedWriter notes when its client does not read. What is written to a connection
// that the handler has taken over (http.Hijacker) does not pass it.
type trackedWriter struct {
	http.ResponseWriter
	reading *reading
	now     func() time.Time
}

// track returns a writer like w that tells r of its progress.
func track(w http.ResponseWriter, r *reading, now func() time.Time) http.ResponseWriter {
	return responsewriter.WrapForHTTP1Or2(&trackedWriter{w, r, now})
}

// Unwrap implements responsewriter.UserProvidedDecorator.
func (t *trackedWriter) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (t *trackedWriter) WriteHeader(status int) {
	t.reading.began.Store(true)
	t.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (t *trackedWriter) Write(p []byte) (n int, err error) {
	t.reading.began.Store(true)
	for {
		piece := p[:min(len(p), pieceBytes)]
		t.wait()
		m, err := t.ResponseWriter.Write(piece)
		t.done(m)
		n, p = n+m, p[len(piece):]
		if err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// Flush implements http.Flusher.
func (t *trackedWriter) Flush() {
	t.wait()
	defer t.done(0)
	if f, ok := t.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// wait notes that the client is to read now, done that it has read n bytes.
func (t *trackedWriter) wait() {
	now := t.now()
	t.reading.stuck.Store(now.UnixNano())
	if v := t.reading.visit.Load(); v != nil {
		v.Writes(now)
	}
}

func (t *trackedWriter) done(n int) {
	t.reading.went(&t.reading.stuck, t.now(), n)
	if v := t.reading.visit.Load(); v != nil {
		v.Wrote()
	}
}
