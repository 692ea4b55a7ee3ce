// Package queue runs the work of a controller: keys in, one call of sync for each,
// failures again after a growing pause. Which keys, and what sync does, is the
// business of the controllers beside it.
package queue

import (
	"context"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
)

// Pauses after the first and after many failures of the same key.
const (
	firstRetry = 5 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// Queue holds the keys that wait. A key is in it once, and is worked on by one
// worker at a time. It is safe for concurrent use.
type Queue struct {
	keys workqueue.TypedRateLimitingInterface[string]
	most int // retries of a key before it is given up; 0 is for ever
}

// Retries says how often and after which pauses failures of one key are tried again.
type Retries struct {
	// First is the pause after the first failure. It doubles with each, up to Last.
	First, Last time.Duration
	// Most is after how many retries a key is given up, until it is added again.
	Most int
}

// New makes a queue whose pauses pass on clk.
func New(clk clock.WithTicker) *Queue {
	return NewRetrying(clk, Retries{First: firstRetry, Last: lastRetry})
}

// NewRetrying makes a queue with pauses of its own. Most may be 0: then nothing is given up.
func NewRetrying(clk clock.WithTicker, r Retries) *Queue {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[string](r.First, r.Last)
	return &Queue{workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[string]{Clock: clk}), r.Most}
}

// Add queues a key to be worked on at once.
func (q *Queue) Add(key string) { q.keys.Add(key) }

// AddAfter queues a key to be worked on when d has passed.
func (q *Queue) AddAfter(key string, d time.Duration) { q.keys.AddAfter(key, d) }

// AddObject queues the key of what an informer's handler was given: an object, or
// the tombstone of a deleted one.
func (q *Queue) AddObject(obj any) {
	if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj); err == nil {
		q.Add(key)
	}
}

// Run lets at most workers calls of sync work on the keys at once until ctx ends, and returns
// when the last call has. A key whose sync fails is queued again. A queue runs once.
func (q *Queue) Run(ctx context.Context, workers int, log *slog.Logger, sync func(ctx context.Context, key string) error) {
	stop := context.AfterFunc(ctx, q.keys.ShutDown)
	defer stop()
	q.work(ctx, workers, log, sync)
}

// work has one goroutine wait for keys, whatever the number of workers: most queues are
// empty most of the time, and there are dozens of them.
func (q *Queue) work(ctx context.Context, workers int, log *slog.Logger, step func(ctx context.Context, key string) error) {
	var wg sync.WaitGroup
	defer wg.Wait()
	free := make(chan struct{}, workers)
	for {
		// A key is taken when somebody can work on it: until then it may be added again.
		free <- struct{}{}
		key, ended := q.keys.Get()
		if ended {
			return
		}
		if workers == 1 {
			q.one(ctx, key, log, step)
			<-free
			continue
		}
		wg.Go(func() {
			q.one(ctx, key, log, step)
			<-free
		})
	}
}

// one works on a key.
func (q *Queue) one(ctx context.Context, key string, log *slog.Logger, step func(ctx context.Context, key string) error) {
	defer q.keys.Done(key)
	err := step(ctx, key)
	if err == nil {
		q.keys.Forget(key)
		return
	}
	if ctx.Err() != nil {
		return
	}
	failures := q.keys.NumRequeues(key) + 1
	if q.most > 0 && failures > q.most {
		log.WarnContext(ctx, "work failed, given up until something changes", "key", key, "failures", failures, "error", err)
		q.keys.Forget(key)
		return
	}
	log.Log(ctx, severity(err, failures), "work failed, trying again", "key", key, "failures", failures, "error", err)
	q.keys.AddRateLimited(key)
}

// seldom is how many failures in a row a race with another writer explains.
const seldom = 5

// severity is that of the line that tells of a failure. Somebody else was faster:
// that is how the API keeps writers apart, and no reason to warn.
func severity(err error, failures int) slog.Level {
	if failures <= seldom && (apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)) {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}
