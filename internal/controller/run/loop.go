// Package run is the head of every controller: it waits for the caches of what the
// controller watches and then works on its queues until the end. What a key means and
// what is decided about it is the business of the controllers beside it; how keys wait
// is internal/controller/queue.
package run

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
)

// Sync works on one key. When it fails it is called again after a pause.
type Sync func(ctx context.Context, key string) error

// Loop is what a controller runs in. It is filled before the shared informers start,
// by one goroutine, and runs once.
type Loop struct {
	env     env.Env
	purpose string
	synced  []cache.DoneChecker
	own     []cache.SharedIndexInformer
	tasks   []task
	beside  []func(ctx context.Context)
	// component is the source of the controller's events, "" where it records none.
	component string
	events    record.EventRecorder
	err       error
}

// task is a queue and the work on its keys.
type task struct {
	queue   *queue.Queue
	workers int
	sync    Sync
}

// New returns an empty loop. purpose completes "watching …" in errors.
func New(e env.Env, purpose string) *Loop { return &Loop{env: e, purpose: purpose} }

// Queue returns a queue on whose keys sync works, as many at a time as there are
// workers, once the caches are filled. Its pauses pass on wall time.
func (l *Loop) Queue(workers int, sync Sync) *queue.Queue {
	q := queue.New(l.env.Wall)
	l.tasks = append(l.tasks, task{q, workers, sync})
	return q
}

// QueueRetrying is Queue with pauses of its own after failures.
func (l *Loop) QueueRetrying(workers int, r queue.Retries, sync Sync) *queue.Queue {
	q := queue.NewRetrying(l.env.Wall, r)
	l.tasks = append(l.tasks, task{q, workers, sync})
	return q
}

// Watch calls handler for what a shared informer sees, which somebody else starts.
func (l *Loop) Watch(informer cache.SharedIndexInformer, handler cache.ResourceEventHandler) {
	handle, err := informer.AddEventHandler(handler)
	if err != nil {
		l.Fail(fmt.Errorf("watching %s: %w", l.purpose, err))
		return
	}
	l.synced = append(l.synced, handle.HasSyncedChecker())
}

// WatchOwn is Watch for an informer that only this controller has: it lives from Run's
// start to its end.
func (l *Loop) WatchOwn(informer cache.SharedIndexInformer, handler cache.ResourceEventHandler) {
	l.own = append(l.own, informer)
	l.Watch(informer, handler)
}

// Beside has f run while the queues are worked on. It must return when its context
// ends.
func (l *Loop) Beside(f func(ctx context.Context)) { l.beside = append(l.beside, f) }

// RecordAs lets the controller record events, with component as their source.
func (l *Loop) RecordAs(component string) { l.component = component }

// Events records events. It is there while the queues are worked on, after RecordAs.
func (l *Loop) Events() record.EventRecorder { return l.events }

// Fail keeps an error of the preparation, which Run will return.
func (l *Loop) Fail(err error) { l.err = err }

// Err is what went wrong in the preparation.
func (l *Loop) Err() error { return l.err }

// Run works until ctx ends and returns when all that it started has ended.
func (l *Loop) Run(ctx context.Context) error {
	if l.err != nil {
		return l.err
	}
	if l.component != "" {
		r := &recorder{ctx: ctx, client: l.env.Client.CoreV1(), source: corev1.EventSource{Component: l.component}}
		defer r.end()
		l.events = r
	}
	var informers sync.WaitGroup
	defer informers.Wait()
	for _, informer := range l.own {
		informers.Go(func() { informer.RunWithContext(ctx) })
	}
	if cache.WaitFor(ctx, "", l.synced...) {
		l.work(ctx)
	}
	return nil
}

// work does all that changes something, until ctx ends. Every server does it so far.
// Leadership will be asked right before it: a server that does not lead keeps its caches
// filled and waits there, and ctx becomes the leader's term.
func (l *Loop) work(ctx context.Context) {
	var all sync.WaitGroup
	for _, f := range l.beside {
		all.Go(func() { f(ctx) })
	}
	for _, t := range l.tasks {
		all.Go(func() { t.queue.Run(ctx, t.workers, l.env.Log, l.counted(t.sync)) })
	}
	all.Wait()
}

// counted is sync with its outcome and duration in the metrics.
func (l *Loop) counted(sync Sync) Sync {
	return func(ctx context.Context, key string) error {
		began := l.env.Wall.Now()
		err := sync(ctx, key)
		l.env.Metrics.Reconciled(l.env.Name, l.env.Wall.Since(began), err)
		return err
	}
}
