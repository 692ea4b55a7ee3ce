package garbagecollector

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

const (
	// workers is how many objects are worked on at a time, upstream's number.
	workers = 20
	// rediscovery is how often the server is asked which kinds there are.
	rediscovery = 30 * time.Second
	// patience is how long the first lists of all kinds may take; a kind that cannot be
	// listed then keeps nobody from the others.
	patience = 30 * time.Second
	// poll is how often discovery is tried at the start.
	poll = 250 * time.Millisecond
	// settle is how long dependents that were made just before their owner was orphaned
	// may take to show: each kind is another watch, and who is not seen is not released.
	settle = 100 * time.Millisecond
	// relook is when an object is looked at again that exists and that no watch shows.
	relook = 30 * time.Second
)

// Name is the controller's, upstream's for its service account; its events come from
// source.
const (
	Name   = "generic-garbage-collector"
	source = "garbage-collector-controller"
)

// Config is what a Controller is made of. All fields are required.
type Config struct {
	env.Env
	// Metadata is a client of all kinds, with the identity of Client.
	Metadata metadata.Interface
	// Stored returns what is closed once there is an object of a resource, and is closed for
	// resources of which nobody can tell.
	Stored func(schema.GroupResource) <-chan struct{}
}

// Controller collects garbage.
type Controller struct {
	config   Config
	loop     *run.Loop
	collect  *queue.Queue // UIDs
	orphan   *queue.Queue // UIDs
	graph    *graph
	kinds    *kinds
	monitors *monitors
	decide   reconciler
}

// New makes a controller.
func New(config Config) *Controller {
	c := &Controller{config: config, loop: run.New(config.Env, "all kinds"), graph: newGraph(), kinds: &kinds{}}
	c.loop.RecordAs(source)
	c.collect = c.loop.Queue(workers, c.sync)
	c.orphan = c.loop.Queue(workers, func(ctx context.Context, uid string) error {
		if c.monitors.beginning.Load() > 0 {
			c.orphan.AddAfter(uid, settle)
			return nil
		}
		return c.decide.orphan(ctx, types.UID(uid))
	})
	c.monitors = &monitors{client: config.Metadata, stored: config.Stored, informers: config.Informers, shared: shared(config.Informers), graph: c.graph, wake: c.wake, of: map[kind]*monitor{}}
	c.decide = reconciler{graph: c.graph, objects: cluster{config.Metadata, c.kinds}, wake: c.wake, foreign: c.foreign}
	return c
}

func (c *Controller) wake(d due) {
	for _, uid := range d.collect {
		c.collect.Add(string(uid))
	}
	for uid, pause := range d.later {
		c.collect.AddAfter(string(uid), pause)
	}
	for _, uid := range d.orphan {
		c.orphan.AddAfter(string(uid), settle)
	}
}

func (c *Controller) sync(ctx context.Context, uid string) error {
	if c.monitors.beginning.Load() > 0 {
		c.collect.AddAfter(uid, settle)
		return nil
	}
	again, err := c.decide.collect(ctx, types.UID(uid))
	if again && err == nil {
		c.collect.AddAfter(uid, relook)
	}
	return err
}

// foreign tells a dependent that what it names as its owner is in another namespace.
func (c *Controller) foreign(dependent identity, owner metav1.OwnerReference) {
	ref := &corev1.ObjectReference{APIVersion: dependent.apiVersion, Kind: dependent.kind, Namespace: dependent.namespace, Name: dependent.name, UID: dependent.uid}
	c.loop.Events().Eventf(ref, corev1.EventTypeWarning, "OwnerRefInvalidNamespace", "ownerRef %s does not exist in namespace %q", referred(owner, dependent.namespace), dependent.namespace)
}

// Run collects garbage until ctx ends. It begins with the graph filled: who deletes in the
// foreground would otherwise be let go too early.
func (c *Controller) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	defer c.monitors.all.Wait()
	if !c.await(ctx) {
		return nil
	}
	timer := c.config.Wall.NewTimer(patience)
	defer timer.Stop()
	if missing := c.monitors.await(ctx, timer.C()); len(missing) > 0 {
		c.config.Log.WarnContext(ctx, "kinds cannot be listed, their objects are not collected yet", "kinds", names(missing))
	}
	if ctx.Err() != nil {
		return nil
	}
	c.loop.Beside(c.rediscover)
	return c.loop.Run(ctx)
}

// await discovers until that succeeds. It returns false when ctx ends.
func (c *Controller) await(ctx context.Context) bool {
	ticker := c.config.Wall.NewTicker(poll)
	defer ticker.Stop()
	for c.discover(ctx) != nil {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C():
		}
	}
	return ctx.Err() == nil
}

// rediscover follows kinds that come and go.
func (c *Controller) rediscover(ctx context.Context) {
	ticker := c.config.Wall.NewTicker(rediscovery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
			if err := c.discover(ctx); err != nil {
				c.config.Log.WarnContext(ctx, "work failed, trying again", "error", err)
			}
		}
	}
}

// discover follows the kinds that the server tells of. While it cannot tell of all, those
// that it told of before are kept.
func (c *Controller) discover(ctx context.Context) error {
	all, collected, err := discover(c.config.Client.Discovery())
	if len(all) == 0 {
		return err
	}
	if err != nil {
		for k := range c.monitors.of {
			collected = append(collected, k)
			all[[2]string{k.apiVersion, k.name}] = k
		}
	}
	more := c.kinds.set(all)
	c.monitors.follow(ctx, collected)
	if more {
		c.wake(c.graph.unpark())
	}
	return err
}

func names(kinds []kind) (all []string) {
	for _, k := range kinds {
		all = append(all, k.apiVersion+"/"+k.name)
	}
	return all
}
