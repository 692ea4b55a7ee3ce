// Package rolloutonchange rolls out anew the Deployments, StatefulSets and DaemonSets with
// the annotation laterna.dev/rollout-on-change whose pods read what has changed: it has the
// digests in their pod templates written again. Several changes within a second are one
// rollout.
//
// What counts and how it is told by digests is known by internal/podcontent; writes of
// users get theirs in internal/admission/rolloutonchange. How a changed template reaches
// the pods is the business of the workload's own controller.
package rolloutonchange

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/podcontent"
	"laterna.dev/laterna/internal/volumes/objects"
)

// Name is the controller's.
const Name = "rollout-on-change-controller"

const (
	// together is how long after the first change others count to the same rollout.
	together = time.Second
	// again is when a workload is looked at again that somebody else was writing.
	again = 50 * time.Millisecond
)

// Config is what a controller works with. All fields are required.
type Config struct {
	env.Env
	// Clock times the retries of watches.
	Clock clock.API
}

// Controller rolls workloads out. It follows no object but those that count for some
// workload.
type Controller struct {
	config Config
	loop   *run.Loop
	queue  *queue.Queue // "<kind>/<namespace>/<name>"
	kinds  map[string]kind

	cache *objects.Cache // from Run on
	mu    sync.Mutex
	kept  map[string]map[objects.Key]*objects.Reference // by key of the queue
}

// object is a workload.
type object interface {
	metav1.Object
	runtime.Object
}

// kind is one of the kinds that are rolled out.
type kind struct {
	get   func(namespace, name string) (object, error)
	patch func(ctx context.Context, namespace, name string, patch []byte) (object, error)
}

// New makes a controller. Call it before the informers are started.
func New(c Config) *Controller {
	r := &Controller{config: c, loop: run.New(c.Env, "workloads"), kept: map[string]map[objects.Key]*objects.Reference{}}
	r.queue = r.loop.Queue(2, r.sync)
	r.loop.RecordAs(Name)
	apps, client := c.Informers.Apps().V1(), c.Client.AppsV1()
	r.kinds = map[string]kind{
		"deployment": {
			get: func(ns, name string) (object, error) { return apps.Deployments().Lister().Deployments(ns).Get(name) },
			patch: func(ctx context.Context, ns, name string, patch []byte) (object, error) {
				return client.Deployments(ns).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
			},
		},
		"statefulset": {
			get: func(ns, name string) (object, error) { return apps.StatefulSets().Lister().StatefulSets(ns).Get(name) },
			patch: func(ctx context.Context, ns, name string, patch []byte) (object, error) {
				return client.StatefulSets(ns).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
			},
		},
		"daemonset": {
			get: func(ns, name string) (object, error) { return apps.DaemonSets().Lister().DaemonSets(ns).Get(name) },
			patch: func(ctx context.Context, ns, name string, patch []byte) (object, error) {
				return client.DaemonSets(ns).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
			},
		},
	}
	for name, informer := range map[string]cache.SharedIndexInformer{
		"deployment": apps.Deployments().Informer(), "statefulset": apps.StatefulSets().Informer(), "daemonset": apps.DaemonSets().Informer(),
	} {
		seen := run.Handlers(func(obj any) { r.seen(name, obj) })
		seen.UpdateFunc = func(before, now any) {
			if !same(before, now) {
				r.seen(name, now)
			}
		}
		r.loop.Watch(informer, seen)
	}
	return r
}

// same tells whether a workload has changed in nothing that counts here, as at each step of
// a rollout: what a sync asks the server is not worth it.
func same(before, now any) bool {
	b, ok := before.(metav1.Object)
	n, okToo := now.(metav1.Object)
	return ok && okToo && b.GetUID() == n.GetUID() && b.GetGeneration() == n.GetGeneration() && b.GetDeletionTimestamp().Equal(n.GetDeletionTimestamp()) &&
		b.GetAnnotations()[api.RolloutOnChange] == n.GetAnnotations()[api.RolloutOnChange]
}

// seen notes a workload that has the annotation, or had it.
func (r *Controller) seen(kind string, obj any) {
	name, ok := run.NameOf(obj)
	if !ok {
		return
	}
	key := kind + "/" + name.Namespace + "/" + name.Name
	asks := false
	if o, ok := obj.(metav1.Object); ok {
		_, asks = o.GetAnnotations()[api.RolloutOnChange]
	}
	if asks || r.follows(key) {
		r.queue.Add(key)
	}
}

// Run rolls out until ctx ends.
func (r *Controller) Run(ctx context.Context) error {
	followed, stop := context.WithCancel(ctx)
	defer stop()
	r.cache = objects.New(followed, objects.Config{Client: r.config.Client, Clock: r.config.Clock, Log: r.config.Log})
	err := r.loop.Run(ctx)
	stop()
	r.cache.Wait()
	return err
}

func (r *Controller) sync(ctx context.Context, key string) error {
	parts := strings.SplitN(key, "/", 3)
	k := r.kinds[parts[0]]
	obj, err := k.get(parts[1], parts[2])
	if err != nil || obj.GetDeletionTimestamp() != nil {
		r.follow(key, "", nil)
		return nil
	}
	request, asked, err := podcontent.RequestOf(obj)
	template := podcontent.Template(obj)
	var reads []podcontent.Read
	if err == nil && asked {
		reads, err = podcontent.Reads(request, template)
	}
	refs := r.follow(key, obj.GetNamespace(), reads)
	if err != nil {
		r.loop.Events().Eventf(obj, corev1.EventTypeWarning, "RolloutOnChangeInvalid", "The annotation %s is not followed: %v", api.RolloutOnChange, err)
		return nil
	}
	if len(reads) == 0 {
		return nil
	}
	now, known, err := r.digests(ctx, obj.GetNamespace(), reads, refs)
	if err != nil || !known {
		return err // what is not known yet calls again
	}
	before := podcontent.Known(template)
	now.Since(before)
	if now.String() == template.Annotations[api.ContentDigests] {
		return nil
	}
	err = r.roll(ctx, k, obj, now, before)
	if run.Overtaken(err) {
		r.queue.AddAfter(key, again) // it is another by now, or told of another status
		return nil
	}
	return err
}

// roll has a template written with digests, which the server looks at once more, and tells
// why. It is run.Overtaken where somebody has changed the object meanwhile.
func (r *Controller) roll(ctx context.Context, k kind, obj object, now, before podcontent.Digests) error {
	stored, err := k.patch(ctx, obj.GetNamespace(), obj.GetName(), patch(obj, now))
	if err != nil {
		return fmt.Errorf("rolling out %s/%s: %w", obj.GetNamespace(), obj.GetName(), err)
	}
	changed := podcontent.Known(podcontent.Template(stored)).Changed(before)
	if len(changed) > 0 {
		r.loop.Events().Eventf(obj, corev1.EventTypeNormal, "RolloutOnChange", "Rolling out, since content has changed: %s", listed(changed))
	}
	return nil
}
