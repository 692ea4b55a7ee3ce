// Package cronjob makes Jobs when CronJobs say so, one for each time that is due, and
// deletes old ones.
//
// When something is due is decided in reconcile.go; how schedules and zones are read is
// the business of internal/schedule, how a Job runs that of internal/controller/job.
package cronjob

import (
	"context"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	batchlisters "k8s.io/client-go/listers/batch/v1"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/controller/workload"
)

// Name is the controller's, upstream's for it, and the source of its events.
const Name = "cronjob-controller"

const (
	workers = 5
	// late is how long after a time its job is started, so that the time has passed on
	// every clock.
	late = 100 * time.Millisecond
	// moment is how long a cache is given to see what was written.
	moment = 20 * time.Millisecond
)

// kind is that of cron jobs.
var kind = batchv1.SchemeGroupVersion.WithKind("CronJob")

// What Written knows kinds by.
const (
	jobsKind     = "jobs"
	cronJobsKind = "cronjobs"
)

// Config is what the controller is given.
type Config struct {
	env.Env
	// Clock is the time that schedules are read on.
	Clock clock.API
}

// Controller makes jobs.
type Controller struct {
	config   Config
	loop     *run.Loop
	queue    *queue.Queue // cron jobs
	alarms   *queue.Queue // cron jobs that will be due
	cronJobs batchlisters.CronJobLister
	jobsOf   workload.ByController[*batchv1.Job]
	written  *workload.Written

	mu sync.Mutex
	// began is since when cron jobs that have started nothing are seen to, on the API's
	// clock, by where that stood when they were first seen.
	began map[types.UID]time.Time
}

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	batch := config.Informers.Batch().V1()
	jobs, cronJobs := batch.Jobs().Informer(), batch.CronJobs().Informer()
	c := &Controller{
		config: config, loop: run.New(config.Env, "cron jobs and their jobs"), alarms: queue.New(config.Clock),
		cronJobs: batch.CronJobs().Lister(),
		written: workload.NewWritten(map[string]workload.Cache{
			jobsKind: jobs.GetStore(), cronJobsKind: cronJobs.GetStore(),
		}),
		began: map[types.UID]time.Time{},
	}
	c.queue = c.loop.Queue(workers, c.sync)
	c.loop.RecordAs(Name)
	c.loop.Beside(func(ctx context.Context) {
		c.alarms.Run(ctx, 1, config.Log, func(_ context.Context, key string) error {
			c.queue.Add(key)
			return nil
		})
	})
	var err error
	if c.jobsOf, err = workload.Index[*batchv1.Job](jobs); err != nil {
		c.loop.Fail(err)
		return c
	}
	seen := run.Present(c.queue.AddObject)
	seen.DeleteFunc = c.gone
	c.loop.Watch(cronJobs, seen)
	c.loop.Watch(jobs, run.Handlers(c.jobSeen))
	return c
}

// Run makes jobs until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

func (c *Controller) jobSeen(obj any) {
	j, ok := run.Last[*batchv1.Job](obj)
	if !ok {
		return
	}
	if owner := metav1.GetControllerOfNoCopy(j); owner != nil && owner.Kind == kind.Kind {
		c.queue.Add(j.Namespace + "/" + owner.Name)
	}
}

func (c *Controller) gone(obj any) {
	if cj, ok := run.Last[*batchv1.CronJob](obj); ok {
		c.written.Forget(cj.UID)
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.began, cj.UID)
	}
}

// since is from when on times of a cron job are to be seen to.
func (c *Controller) since(cj *batchv1.CronJob) time.Time {
	if last := cj.Status.LastScheduleTime; last != nil {
		return last.Time
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.began[cj.UID]
	if !ok {
		// It was made at a time that no test clock moves.
		at = cj.CreationTimestamp.Add(c.config.Clock.Now().Sub(c.config.Wall.Now()))
		c.began[cj.UID] = at
	}
	return at
}

// sync works on one cron job.
func (c *Controller) sync(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil
	}
	cached, err := c.cronJobs.CronJobs(namespace).Get(name)
	if err != nil {
		return nil
	}
	if err := c.written.Unseen(cached.UID); err != nil {
		c.queue.AddAfter(key, moment)
		return nil
	}
	w := &work{Controller: c, key: key, cj: cached, status: cached.Status.DeepCopy(), jobs: c.jobsOf.Of(cached.UID)}
	failed := w.do(ctx)
	if err := w.write(ctx); err != nil {
		return fmt.Errorf("writing the status of cron job %s: %w", key, err)
	}
	return failed
}
