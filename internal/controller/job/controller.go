// Package job runs the pods of Jobs until as many have succeeded as are asked for, or too
// many have failed, and counts each once: a pod is held by a finalizer until it is
// counted, and what is being counted is written down before the pod is let go.
//
// What a look at a job and its pods leads to is decided in look.go, ending.go, plan.go,
// policy.go and account.go, which write nothing; act.go does it. What a Job may say is
// checked in internal/registry/batch/job. Jobs are deleted some time after their end by
// internal/controller/ttlafterfinished, and made on a schedule by
// internal/controller/cronjob.
package job

import (
	"context"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	batchlisters "k8s.io/client-go/listers/batch/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/controller/workload"
)

// Name is the controller's, upstream's for it, and the source of its events.
const Name = "job-controller"

// manager is what spec.managedBy says of jobs that are this controller's.
const manager = batchv1.JobControllerName

const (
	workers = 5
	// gather is how long what pods tell of themselves is gathered before their job is
	// looked at.
	gather = 100 * time.Millisecond
	// moment is how long a cache is given to see what was written.
	moment = 20 * time.Millisecond
)

// Config is what the controller is given.
type Config struct {
	env.Env
	// Clock is the time that deadlines and back-offs of jobs go by, and that the times in
	// their status are of.
	Clock clock.API
}

// Controller runs jobs.
type Controller struct {
	config  Config
	loop    *run.Loop
	queue   *queue.Queue // "<namespace>/<name>" of jobs, "orphan/<namespace>/<name>" of pods
	alarms  *queue.Queue // jobs to be looked at when the API's clock says so
	jobs    batchlisters.JobLister
	pods    corelisters.PodLister
	podsOf  workload.ByController[*corev1.Pod]
	owners  workload.Owners[*batchv1.Job]
	control workload.PodControl
	written *workload.Written
	memory  memories
}

// orphanKey begins keys of pods whose job may be gone.
const orphanKey = "orphan/"

// jobsKind is what Written knows jobs by.
const jobsKind = "jobs"

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	jobs, pods := config.Informers.Batch().V1().Jobs(), config.Informers.Core().V1().Pods()
	c := &Controller{
		config: config,
		loop:   run.New(config.Env, "jobs and their pods"),
		alarms: queue.New(config.Clock),
		jobs:   jobs.Lister(), pods: pods.Lister(),
		written: workload.NewWritten(map[string]workload.Cache{
			workload.PodsKind: pods.Informer().GetStore(), jobsKind: jobs.Informer().GetStore(),
		}),
		memory: memories{of: map[types.UID]*memory{}},
	}
	c.control = workload.PodControl{Env: config.Env, Events: c.loop.Events, Written: c.written}
	c.queue = c.loop.Queue(workers, c.sync)
	c.loop.RecordAs(Name)
	c.loop.Beside(func(ctx context.Context) {
		c.alarms.Run(ctx, 1, config.Log, func(_ context.Context, key string) error {
			c.queue.Add(key)
			return nil
		})
	})
	var err error
	if c.podsOf, err = workload.Index[*corev1.Pod](pods.Informer()); err != nil {
		c.loop.Fail(err)
		return c
	}
	c.loop.Watch(jobs.Informer(), cache.ResourceEventHandlerFuncs{
		AddFunc: c.queue.AddObject,
		UpdateFunc: func(before, after any) {
			old, ok := before.(*batchv1.Job)
			if j, also := after.(*batchv1.Job); ok && also && j.UID != old.UID {
				c.jobGone(old) // its end was not seen
			}
			c.queue.AddObject(after)
		},
		DeleteFunc: c.jobGone,
	})
	c.owners = workload.Owners[*batchv1.Job]{
		Kind: kind.Kind, Parents: jobs.Informer().GetIndexer(),
		Selector: func(j *batchv1.Job) *metav1.LabelSelector { return j.Spec.Selector },
		Look:     func(key string) { c.queue.AddAfter(key, gather) },
	}
	c.loop.Watch(pods.Informer(), c.owners.Handler())
	c.loop.Watch(pods.Informer(), cache.ResourceEventHandlerFuncs{
		AddFunc:    c.heldSeen,
		UpdateFunc: func(_, after any) { c.heldSeen(after) },
		DeleteFunc: c.heldSeen,
	})
	return c
}

// Run runs jobs until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// jobGone lets the pods of a job go that is not there to count them.
func (c *Controller) jobGone(obj any) {
	j, ok := run.Last[*batchv1.Job](obj)
	if !ok {
		return
	}
	c.memory.forget(j.UID)
	c.written.Forget(j.UID)
	for _, p := range c.podsOf.Of(j.UID) {
		if isHeld(p) {
			c.queue.Add(orphanKey + p.Namespace + "/" + p.Name)
		}
	}
}

// heldSeen has a pod let go that is held and whose job, which would count it, may be gone.
func (c *Controller) heldSeen(obj any) {
	p, ok := run.Last[*corev1.Pod](obj)
	if !ok || !isHeld(p) {
		return
	}
	owner := metav1.GetControllerOfNoCopy(p)
	if owner == nil || owner.Kind == kind.Kind && !c.owners.Has(owner, p.Namespace) {
		c.queue.AddAfter(orphanKey+p.Namespace+"/"+p.Name, gather)
	}
}

// isOurs tells whether nobody else manages a job.
func isOurs(j *batchv1.Job) bool { return j.Spec.ManagedBy == nil || *j.Spec.ManagedBy == manager }

// sync works on one key.
func (c *Controller) sync(ctx context.Context, key string) error {
	rest, orphan := strings.CutPrefix(key, orphanKey)
	namespace, name, err := cache.SplitMetaNamespaceKey(rest)
	if err != nil {
		return nil
	}
	if orphan {
		return c.letOrphanGo(ctx, namespace, name)
	}
	j, err := c.jobs.Jobs(namespace).Get(name)
	if err != nil || !isOurs(j) {
		return nil
	}
	if m := j.Spec.CompletionMode; m != nil && *m != batchv1.NonIndexedCompletion && *m != batchv1.IndexedCompletion {
		c.loop.Events().Event(j, corev1.EventTypeWarning, "UnknownCompletionMode", "Skipped Job sync because completion mode is unknown")
		return nil
	}
	if err := c.written.Unseen(j.UID); err != nil {
		c.queue.AddAfter(key, moment)
		return nil
	}
	if isOver(j) {
		return c.letAllGo(ctx, j)
	}
	pods, err := c.claim(ctx, j)
	if err != nil {
		return fmt.Errorf("claiming pods of job %s: %w", key, err)
	}
	return c.work(ctx, key, j, pods)
}

// claim returns the pods of a job.
func (c *Controller) claim(ctx context.Context, j *batchv1.Job) ([]*corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(j.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("reading the selector: %w", err)
	}
	claims := workload.Claims[*corev1.Pod]{
		Parent: j, Kind: kind, Selector: selector, Finalizers: []string{batchv1.JobTrackingFinalizer},
		Live: func(ctx context.Context) (metav1.Object, error) {
			return c.config.Client.BatchV1().Jobs(j.Namespace).Get(ctx, j.Name, metav1.GetOptions{})
		},
		Patch: workload.Patches(c.config.Env, c.written, j.UID),
	}
	return claims.Claim(ctx, c.podsOf.Candidates(j))
}
