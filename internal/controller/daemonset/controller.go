// Package daemonset has one pod of each DaemonSet on every node that its template fits.
//
// Which nodes these are, and what a pod for one looks like, stands in pod.go; it asks of
// nodes what the scheduler asks (internal/controller/fit), which binds the pods. What is to
// be done next is decided in reconcile.go, and in update.go while a template is rolled out,
// from the set, its pods and the nodes alone; done in act.go, told in status.go. The history
// of templates is kept by internal/controller/workload/history; the rules of the kind are
// internal/registry/apps/daemonset's.
package daemonset

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/flowcontrol"
	k8sclock "k8s.io/utils/clock"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/controller/workload"
	"laterna.dev/laterna/internal/controller/workload/history"
)

// Name is the controller's, upstream's for its account; component is the source of its
// events.
const (
	Name      = "daemon-set-controller"
	component = "daemonset-controller"
)

const (
	// workers is how many sets are worked on at once.
	workers = 2
	// unseen is how long a set waits for the caches to see what was written for it.
	unseen = 20 * time.Millisecond
	// setsKind is what is remembered of written sets.
	setsKind = "daemonsets"
	// A pod that fails again and again on a node is made anew after pauses from the first
	// to the longest; they are forgotten twice the longest after the last.
	firstPause, longestPause, forgetEvery = time.Second, 15 * time.Minute, time.Minute
)

var kind = appsv1.SchemeGroupVersion.WithKind("DaemonSet")

// Config is what the controller is made from; all is required. The pauses after failures
// pass on Clock.
type Config struct {
	Env   env.Env
	Clock clock.API
}

// Controller keeps DaemonSets.
type Controller struct {
	env       env.Env
	clock     clock.API
	loop      *run.Loop
	queue     *queue.Queue
	sets      appslisters.DaemonSetLister
	nodes     corelisters.NodeLister
	podsOf    workload.ByController[*corev1.Pod]
	revisions workload.ByController[*appsv1.ControllerRevision]
	written   *workload.Written
	pods      workload.PodControl
	history   history.Keeper
	commit    run.Commit[*appsv1.DaemonSet]
	failures  *flowcontrol.Backoff
	mu        sync.Mutex
	waits     map[string]k8sclock.Timer // sets whose failures pause, by key
}

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	e := config.Env
	apps, core := e.Informers.Apps().V1(), e.Informers.Core().V1()
	sets, revisions, pods := apps.DaemonSets().Informer(), apps.ControllerRevisions().Informer(), core.Pods().Informer()
	c := &Controller{
		env: e, clock: config.Clock, loop: run.New(e, "daemon sets and their pods"),
		sets: apps.DaemonSets().Lister(), nodes: core.Nodes().Lister(),
		written: workload.NewWritten(map[string]workload.Cache{
			setsKind: sets.GetIndexer(), history.Kind: revisions.GetIndexer(), workload.PodsKind: pods.GetIndexer(),
		}),
		failures: flowcontrol.NewBackOff(firstPause, longestPause), waits: map[string]k8sclock.Timer{},
	}
	c.failures.Clock = config.Clock
	c.history = history.Keeper{Env: e, Written: c.written}
	c.pods = workload.PodControl{Env: e, Events: c.loop.Events, Written: c.written}
	c.commit = run.Commits(e, func(ctx context.Context, after *appsv1.DaemonSet, o metav1.UpdateOptions) (*appsv1.DaemonSet, error) {
		return e.Client.AppsV1().DaemonSets(after.Namespace).UpdateStatus(ctx, after, o)
	})
	c.queue = c.loop.Queue(workers, c.sync)
	c.loop.RecordAs(component)
	c.loop.Beside(c.forgetFailures)
	var err error
	if c.podsOf, err = workload.Index[*corev1.Pod](pods); err != nil {
		c.loop.Fail(err)
		return c
	}
	if c.revisions, err = workload.Index[*appsv1.ControllerRevision](revisions); err != nil {
		c.loop.Fail(err)
		return c
	}
	owners := workload.Owners[*appsv1.DaemonSet]{
		Kind: kind.Kind, Parents: sets.GetIndexer(), Look: c.queue.Add,
		Selector: func(set *appsv1.DaemonSet) *metav1.LabelSelector { return set.Spec.Selector },
	}
	c.loop.Watch(sets, c.written.Parents(c.queue.AddObject))
	c.loop.Watch(pods, owners.Handler())
	c.loop.Watch(revisions, owners.ChangesHandler())
	c.loop.Watch(core.Nodes().Informer(), cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { c.all() }, UpdateFunc: c.nodeChanged, DeleteFunc: func(any) { c.all() },
	})
	return c
}

// all looks at every set.
func (c *Controller) all() {
	sets, err := c.sets.List(labels.Everything())
	if err != nil {
		return
	}
	for _, set := range sets {
		c.queue.AddObject(set)
	}
}

// nodeChanged looks at the sets for which a node is another than before. Heartbeats are
// nothing to them.
func (c *Controller) nodeChanged(old, now any) {
	before, wasNode := old.(*corev1.Node)
	after, isNode := now.(*corev1.Node)
	if !wasNode || !isNode || maps.Equal(before.Labels, after.Labels) &&
		slices.EqualFunc(before.Spec.Taints, after.Spec.Taints, func(a, b corev1.Taint) bool { return a.MatchTaint(&b) && a.Value == b.Value }) {
		return
	}
	sets, err := c.sets.List(labels.Everything())
	if err != nil {
		return
	}
	for _, set := range sets {
		p := placementOf(set)
		ran, stayed := p.of(before)
		if run, stay := p.of(after); run != ran || stay != stayed {
			c.queue.AddObject(set)
		}
	}
}

// forgetFailures forgets the pauses of pods that have not failed for long.
func (c *Controller) forgetFailures(ctx context.Context) {
	ticker := c.clock.NewTicker(forgetEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
			c.failures.GC()
		}
	}
}

// failureKey is what the pauses of a set's pods on a node are known by. A change of the
// set begins anew.
func failureKey(set *appsv1.DaemonSet, node string) string {
	return fmt.Sprintf("%s/%d/%s", set.UID, set.Status.ObservedGeneration, node)
}

// Run keeps sets until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }
