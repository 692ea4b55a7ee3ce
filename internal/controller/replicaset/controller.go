package replicaset

import (
	"context"
	"errors"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/controller/workload"
)

// Names of the controllers, upstream's for them.
const (
	Name            = "replicaset-controller"
	ReplicationName = "replication-controller"
)

// workers is how many sets are worked on at a time.
const workers = 5

// unseen is how long a set waits at most for the caches to show what was written for it.
const unseen = 100 * time.Millisecond

// setsKind is what Written knows sets by.
const setsKind = "sets"

// Controller keeps the pods of all sets of a kind. Pods are available by wall time, in
// which nodes write when they are ready.
type Controller struct {
	env     env.Env
	loop    *run.Loop
	kind    kind
	queue   *queue.Queue // keys of sets
	sets    cache.Indexer
	pods    workload.ByController[*corev1.Pod]
	control *workload.PodControl
	written *workload.Written
	report  run.Commit[*appsv1.ReplicaSet]
}

// New makes the controller of ReplicaSets. Call it before the informers are started.
func New(e env.Env) *Controller { return build(e, replicaSets) }

// NewReplication makes that of ReplicationControllers.
func NewReplication(e env.Env) *Controller { return build(e, replicationControllers) }

func build(e env.Env, of func(env.Env) (kind, error)) *Controller {
	c := &Controller{env: e, loop: run.New(e, "sets of pods")}
	c.queue = c.loop.Queue(workers, c.sync)
	var err error
	if c.kind, err = of(e); err != nil {
		c.loop.Fail(err)
		return c
	}
	pods := e.Informers.Core().V1().Pods().Informer()
	if c.pods, err = workload.Index[*corev1.Pod](pods); err != nil {
		c.loop.Fail(err)
		return c
	}
	c.sets = c.kind.informer.GetIndexer()
	c.written = workload.NewWritten(map[string]workload.Cache{workload.PodsKind: pods.GetIndexer(), setsKind: c.sets})
	c.control = &workload.PodControl{Env: e, Events: c.loop.Events, Written: c.written}
	c.report = run.Commits(e, c.kind.report)
	c.loop.RecordAs(c.kind.component)
	c.loop.Watch(c.kind.informer, c.written.Parents(c.queue.AddObject))
	owners := workload.Owners[*appsv1.ReplicaSet]{
		Kind: c.kind.gvk.Kind, Parents: c.sets, Look: c.queue.Add,
		As: func(obj any) (*appsv1.ReplicaSet, bool) {
			set := c.kind.of(obj)
			return set, set != nil
		},
		Selector: func(set *appsv1.ReplicaSet) *metav1.LabelSelector { return set.Spec.Selector },
	}
	c.loop.Watch(pods, owners.Handler())
	return c
}

// Run keeps pods until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// sync brings one set on.
func (c *Controller) sync(ctx context.Context, key string) error {
	set := c.get(key)
	if set == nil {
		return nil
	}
	if err := c.written.Unseen(set.UID); err != nil {
		c.queue.AddAfter(key, unseen) // what it waits for wakes it, too
		return nil
	}
	defer func() {
		if now := c.get(key); now == nil || now.UID != set.UID {
			c.written.Forget(set.UID)
		}
	}()
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil || selector.Empty() {
		return nil // not in the store
	}
	active, terminating := split(c.pods.Candidates(set))
	active, err = c.claim(ctx, set, selector, active)
	if err != nil {
		return err
	}
	failure := c.carryOut(ctx, set, decide(set, active, func() map[string]int { return c.neighbours(set) }, c.env.Wall.Now()))
	now := c.env.Wall.Now()
	after := set.DeepCopy()
	after.Status = status(set, observed{active, mine(set, selector, terminating), failure}, now)
	stored, err := c.report(ctx, set, after)
	if err != nil {
		if run.Overtaken(err) && failure == nil {
			return nil // the watch brings what is new
		}
		return errors.Join(failure, err)
	}
	if stored.ResourceVersion != set.ResourceVersion {
		c.written.Wrote(set.UID, setsKind, stored)
	}
	if next := nextAvailable(set, active, now); next > 0 {
		c.queue.AddAfter(key, next)
	}
	return failure
}

// get returns a set of the cache, nil where it is gone.
func (c *Controller) get(key string) *appsv1.ReplicaSet {
	obj, _, err := c.sets.GetByKey(key)
	if err != nil {
		return nil
	}
	return c.kind.of(obj)
}

func (c *Controller) claim(ctx context.Context, set *appsv1.ReplicaSet, selector labels.Selector, pods []*corev1.Pod) ([]*corev1.Pod, error) {
	claims := workload.Claims[*corev1.Pod]{
		Parent: set, Kind: c.kind.gvk, Selector: selector,
		Live:  func(ctx context.Context) (metav1.Object, error) { return c.kind.live(ctx, set.Namespace, set.Name) },
		Patch: workload.Patches(c.env, c.written, set.UID),
	}
	return claims.Claim(ctx, pods)
}

// errEnding stops the creation of pods in a namespace that ends.
var errEnding = errors.New("the namespace is ending")

// carryOut makes and deletes pods, and returns the first of what failed.
func (c *Controller) carryOut(ctx context.Context, set *appsv1.ReplicaSet, p plan) error {
	if len(p.remove) > 0 {
		return first(workload.Together(len(p.remove), func(i int) error { return c.control.Delete(ctx, set, p.remove[i]) }))
	}
	_, err := workload.SlowStart(ctx, p.create, func(ctx context.Context, _ int) error {
		made, err := c.control.Create(ctx, set, workload.FromTemplate(&set.Spec.Template, set, c.kind.gvk))
		if err == nil && made == nil {
			return errEnding
		}
		return err
	})
	if errors.Is(err, errEnding) {
		return nil
	}
	return first(err)
}

// neighbours counts the active pods of all sets of the set's owner, by node.
func (c *Controller) neighbours(set *appsv1.ReplicaSet) map[string]int {
	owner := metav1.GetControllerOfNoCopy(set)
	if owner == nil {
		return nil
	}
	count := map[string]int{}
	for _, s := range c.kind.owned(owner.UID) {
		active, _ := split(c.pods.Of(s.UID))
		for _, p := range active {
			count[p.Spec.NodeName]++
		}
	}
	return count
}

// owned tells whether a pod is a set's.
func owned(set *appsv1.ReplicaSet, p *corev1.Pod) bool {
	owner := metav1.GetControllerOfNoCopy(p)
	return owner != nil && owner.UID == set.UID
}
