// Package ttlafterfinished deletes Jobs spec.ttlSecondsAfterFinished after their end, with
// all that they own. How a Job ends is the business of internal/controller/job.
package ttlafterfinished

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	batchlisters "k8s.io/client-go/listers/batch/v1"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

// Name is the controller's, upstream's for it.
const Name = "ttl-after-finished-controller"

const workers = 5

// Config is what the controller is given.
type Config struct {
	env.Env
	// Clock is the time that the ends of jobs are of.
	Clock clock.API
}

// Controller deletes jobs.
type Controller struct {
	config Config
	loop   *run.Loop
	queue  *queue.Queue // jobs
	alarms *queue.Queue // jobs whose time will come
	jobs   batchlisters.JobLister
}

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	jobs := config.Informers.Batch().V1().Jobs()
	c := &Controller{config: config, loop: run.New(config.Env, "jobs"), alarms: queue.New(config.Clock), jobs: jobs.Lister()}
	c.queue = c.loop.Queue(workers, c.sync)
	c.loop.Beside(func(ctx context.Context) {
		c.alarms.Run(ctx, 1, config.Log, func(_ context.Context, key string) error {
			c.queue.Add(key)
			return nil
		})
	})
	c.loop.Watch(jobs.Informer(), run.Present(func(obj any) {
		if j, ok := obj.(*batchv1.Job); ok && j.Spec.TTLSecondsAfterFinished != nil {
			c.queue.AddObject(j)
		}
	}))
	return c
}

// Run deletes jobs until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// sync deletes a job whose time has come. It is read anew before: its time may have been
// changed, which the cache does not show yet.
func (c *Controller) sync(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil
	}
	cached, err := c.jobs.Jobs(namespace).Get(name)
	if err != nil || !c.isDue(key, cached) {
		return nil
	}
	jobs := c.config.Client.BatchV1().Jobs(namespace)
	j, err := jobs.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && !c.isDue(key, j) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at job %s: %w", key, err)
	}
	err = jobs.Delete(ctx, name, metav1.DeleteOptions{
		PropagationPolicy: new(metav1.DeletePropagationForeground), Preconditions: metav1.NewUIDPreconditions(string(j.UID)),
	})
	if err != nil && !run.Overtaken(err) {
		return fmt.Errorf("deleting job %s: %w", key, err)
	}
	return nil
}

// isDue tells whether a job is to be deleted now, and sees to it that it is looked at
// when it will be.
func (c *Controller) isDue(key string, j *batchv1.Job) bool {
	at, ok := due(j)
	if !ok {
		return false
	}
	left := at.Sub(c.config.Clock.Now())
	if left > 0 {
		c.alarms.AddAfter(key, left)
	}
	return left <= 0
}
