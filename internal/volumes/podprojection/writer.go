package podprojection

import (
	"context"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/volumes/publish"
	"laterna.dev/laterna/internal/wait"
)

const (
	// settle is how long a mark waits: the volumes of a pod that one change reaches are
	// written together, and the files of other pods come first.
	settle = 25 * time.Millisecond
	// wholeNew and wholeOld are how long the first write about a pod waits for all of
	// its volumes to be up to date: about one that starts, and about one that an earlier
	// process may have written about already.
	wholeNew = 500 * time.Millisecond
	wholeOld = 5 * time.Second
	// between is the least time between two writes of one pod.
	between = time.Second
	// patience bounds one request.
	patience = 10 * time.Second
	// The pauses after failures in a row.
	firstRetry = time.Second
	lastRetry  = time.Minute
	// recheck is when a server that did not know the kind is asked again.
	recheck = 10 * time.Minute
	// quiet is the least time between two lines of log about failures.
	quiet = 30 * time.Second
	// longestPause bounds the pause that a write is followed by.
	longestPause = 100 * time.Millisecond
)

// Config of a Writer. Fields are required unless they say otherwise.
type Config struct {
	// Client is made by NewClient, as the node.
	Client   rest.Interface
	NodeName string
	Key      Key
	// Snapshot returns what the volumes of a pod show, nil when they are not set up.
	Snapshot func(uid types.UID) []publish.Status
	// Outcomes returns how the last updates of a pod went; optional.
	Outcomes func(uid types.UID) []Outcome
	// Wall is the machine's clock.
	Wall clock.Wall
	Log  *slog.Logger
}

// Writer keeps the objects of the node's pods up to date. Its methods may be called
// concurrently; Add and Changed do not wait. A nil Writer writes nothing.
type Writer struct {
	cfg   Config
	api   api
	queue workqueue.TypedDelayingInterface[types.UID]
	done  chan struct{}

	mu   sync.Mutex
	pods map[types.UID]*record

	// Of the goroutine that writes.
	served   bool
	askAgain time.Time
	told     bool // that the server does not know the kind
	nextLine time.Time
}

// New starts a writer, which ends with ctx.
func New(ctx context.Context, cfg Config) *Writer {
	w := &Writer{
		cfg: cfg, api: api{cfg.Client}, done: make(chan struct{}), pods: map[types.UID]*record{},
		queue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[types.UID]{Clock: cfg.Wall}),
	}
	stop := context.AfterFunc(ctx, w.queue.ShutDown)
	go func() {
		defer close(w.done)
		defer stop()
		w.run(ctx)
	}()
	return w
}

// Wait returns when the last request has ended, after ctx has.
func (w *Writer) Wait() {
	if w != nil {
		<-w.done
	}
}

// Add has what the volumes of a pod show written from now on. Calling it again for the
// same pod does nothing.
func (w *Writer) Add(pod *corev1.Pod) {
	if w == nil {
		return
	}
	w.mu.Lock()
	known := w.pods[pod.UID] != nil
	if !known {
		w.pods[pod.UID] = newRecord(pod, w.cfg.Wall.Now())
	}
	w.mu.Unlock()
	if !known {
		w.Changed(pod.UID)
	}
}

// Changed tells that what is to be written about a pod may have changed. Pods that were
// not added are ignored.
func (w *Writer) Changed(uid types.UID) {
	if w == nil {
		return
	}
	if r := w.record(uid); r != nil && r.marked.CompareAndSwap(false, true) {
		w.queue.AddAfter(uid, settle)
	}
}

// Remove ends the writing about a pod whose volumes are torn down, and deletes the
// object, as far as that is possible before ctx ends. What it cannot delete the server
// does when the pod is gone.
func (w *Writer) Remove(ctx context.Context, uid types.UID) {
	if w == nil {
		return
	}
	w.mu.Lock()
	r := w.pods[uid]
	delete(w.pods, uid)
	w.mu.Unlock()
	if r == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case r.turn <- struct{}{}: // never given back: nobody writes any more
	case <-ctx.Done():
		return
	}
	if r.held == nil {
		return
	}
	if err := w.api.remove(ctx, r.Namespace, r.Name, r.held.UID); err != nil && !gone(err) {
		w.cfg.Log.Debug("pod projection not deleted", "namespace", r.Namespace, "pod", r.Name, "error", err)
	}
}

func (w *Writer) record(uid types.UID) *record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pods[uid]
}

// run writes until the queue is shut down.
func (w *Writer) run(ctx context.Context) {
	for {
		uid, ended := w.queue.Get()
		if ended {
			return
		}
		began := w.cfg.Wall.Now()
		if w.step(ctx, uid) && w.queue.Len() > 0 {
			wait.Pause(ctx, w.cfg.Wall, min(w.cfg.Wall.Since(began), longestPause)) // leaves the machine to others
		}
		w.queue.Done(uid)
	}
}

// step brings the object of one pod up to date, or has that done later. It returns
// whether the API was asked.
func (w *Writer) step(ctx context.Context, uid types.UID) (asked bool) {
	r := w.record(uid)
	if r == nil {
		return false
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	default: // it is being removed
		return false
	}
	if early := r.next.Sub(w.cfg.Wall.Now()); early > 0 {
		w.queue.AddAfter(uid, early)
		return false
	}
	r.marked.Store(false)
	shown := w.cfg.Snapshot(uid)
	if shown == nil {
		return false
	}
	if early := r.whole.Sub(w.cfg.Wall.Now()); early > 0 && !upToDate(shown) {
		w.queue.AddAfter(uid, early)
		return false
	}
	r.whole = time.Time{}
	request, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	asked, err := w.bring(request, r, shown)
	if !asked {
		return false
	}
	switch {
	case err == nil:
		r.failures = 0
		r.next = w.cfg.Wall.Now().Add(between)
	case ctx.Err() == nil:
		w.failed(uid, r, err)
	}
	return true
}

// bring is step without what follows an error.
func (w *Writer) bring(ctx context.Context, r *record, shown []publish.Status) (asked bool, err error) {
	if !w.served {
		if asked, err = w.discover(ctx); !w.served {
			return asked, err
		}
	}
	wrote, err := w.write(ctx, r, shown)
	return asked || wrote, err
}

// failed has a write tried again later.
func (w *Writer) failed(uid types.UID, r *record, err error) {
	now := w.cfg.Wall.Now()
	r.failures++
	pause := wait.Backoff{First: firstRetry, Most: lastRetry}.After(r.failures)
	if until := w.askAgain.Sub(now); !w.served && until > 0 {
		pause = until
	}
	r.next = now.Add(pause)
	w.queue.AddAfter(uid, pause)
	if err == errNotServed || now.Before(w.nextLine) {
		return
	}
	w.nextLine = now.Add(quiet)
	w.cfg.Log.Warn("pod projection not written, trying again", "namespace", r.Namespace, "pod", r.Name, "after", pause, "error", err)
}
