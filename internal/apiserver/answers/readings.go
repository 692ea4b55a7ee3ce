package answers

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/endpoints/request"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/upgrade"
)

// How long clients may take to read.
const (
	// ReadTimeout is how long a list may take to be read. Other requests have
	// RequestTimeout for everything, as in Kubernetes.
	ReadTimeout    = 10 * time.Minute
	RequestTimeout = time.Minute
	// watchStall is how long a watch may read nothing of what there is to read. It
	// comes again and goes on where it was.
	watchStall = time.Minute
	// sweepInterval is how often clients that do not read are looked for.
	sweepInterval = 5 * time.Second
)

var (
	errCut  = errors.New("the client does not read the response")
	errLate = errors.New("the response has not begun in time")
)

// Readings are the requests that are being answered. The library leaves one alone
// that waits for its client to read; here it ends, so that nobody holds for ever
// what the server needs for others. Its methods may be called concurrently.
type Readings struct {
	clock clock.Wall
	// exempt tells which requests pass by.
	exempt func(*http.Request) bool
	info   request.RequestInfoResolver
	long   request.LongRunningRequestCheck

	mu  sync.Mutex
	all map[*reading]struct{}
}

// NewReadings returns readings of all requests but those that are exempt.
func NewReadings(exempt func(*http.Request) bool, c clock.Wall) *Readings {
	return &Readings{clock: c, exempt: exempt, all: map[*reading]struct{}{}}
}

// Wrap is the outermost of all handlers. info tells what a request is, long which are to
// take long. It is called once, before Run.
func (r *Readings) Wrap(next http.Handler, info request.RequestInfoResolver, long request.LongRunningRequestCheck) http.Handler {
	r.info, r.long = info, long
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.exempt(req) {
			next.ServeHTTP(w, req)
			return
		}
		ctx, end := context.WithCancelCause(req.Context())
		defer end(nil)
		reading := &reading{end: end, control: http.NewResponseController(w)}
		stop := r.limit(reading, req)
		defer stop()
		r.add(reading)
		defer r.remove(reading)
		req = req.WithContext(context.WithValue(ctx, readingKey{}, reading))
		if req.Body != nil && req.Body != http.NoBody {
			req.Body = &trackedBody{req.Body, reading, r.clock.Now}
		}
		next.ServeHTTP(track(w, reading, r.clock.Now), req)
	})
}

// limit sets how long a request may take. The library knows one limit for all, that
// of lists; the others' is kept here, and that of a list that has not begun.
func (r *Readings) limit(reading *reading, req *http.Request) (stop func() bool) {
	info, err := r.info.NewRequestInfo(req)
	if err != nil {
		info = &request.RequestInfo{}
	}
	now := r.clock.Now()
	switch {
	case r.long(req, info):
		// A log that somebody pages through waits as long as exec and attach do.
		reading.stall = upgrade.Idle
		if info.Verb == "watch" {
			reading.stall = watchStall
		}
		return func() bool { return true }
	case info.IsResourceRequest && info.Verb == "list":
		reading.ends, reading.stall = now.Add(ReadTimeout), ReadTimeout
	default:
		reading.ends, reading.stall = now.Add(RequestTimeout), RequestTimeout
	}
	late := r.clock.AfterFunc(RequestTimeout, func() {
		if info.Verb != "list" || !reading.began.Load() {
			reading.giveUp()
		}
	})
	return late.Stop
}

func (r *Readings) add(reading *reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[reading] = struct{}{}
}

func (r *Readings) remove(reading *reading) {
	r.mu.Lock()
	delete(r.all, reading)
	r.mu.Unlock()
	reading.leave()
}

// Run cuts the responses that nobody reads until ctx ends.
func (r *Readings) Run(ctx context.Context) {
	sweep := r.clock.NewTicker(sweepInterval)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C():
		}
		for _, reading := range r.overdue() {
			reading.cut()
		}
	}
}

func (r *Readings) overdue() (out []*reading) {
	now := r.clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for reading := range r.all {
		if reading.overdue(now) {
			out = append(out, reading)
		}
	}
	return out
}
