// Package podprojection deletes PodProjections whose pod is gone. Their nodes do that
// for pods that they end; what is left is that of nodes that are gone, and of pods that
// were deleted by force.
//
// The objects name no owners, so that internal/controller/garbagecollector has nothing to
// do with them. Who writes them is in internal/volumes/podprojection.
package podprojection

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

// settle is how long after its pod an object is looked at: the node deletes it, too.
const settle = time.Second

// Name is the controller's.
const Name = "podprojection-controller"

// Config is what a Controller is made of. All fields are required.
type Config struct {
	env.Env
	// Metadata is a client of all kinds, with the identity of Client.
	Metadata metadata.Interface
}

// Controller deletes objects without a pod.
type Controller struct {
	config  Config
	loop    *run.Loop
	queue   *queue.Queue // namespace/name of an object and of its pod
	objects cache.SharedIndexInformer
	decide  reconciler
}

var resource = v1alpha1.SchemeGroupVersion.WithResource(v1alpha1.Plural)

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	pods := config.Informers.Core().V1().Pods()
	c := &Controller{
		config:  config,
		loop:    run.New(config.Env, "pods and their projections"),
		objects: metadatainformer.NewFilteredMetadataInformer(config.Metadata, resource, metav1.NamespaceAll, 0, nil, nil).Informer(),
	}
	c.queue = c.loop.Queue(1, c.sync)
	c.decide = reconciler{
		object: c.object,
		cached: func(namespace, name string) (*corev1.Pod, error) { return pods.Lister().Pods(namespace).Get(name) },
		live: func(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
			return config.Client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		},
		remove: c.remove,
	}
	if err := c.objects.SetTransform(slim); err != nil {
		c.loop.Fail(err)
		return c
	}
	c.loop.WatchOwn(c.objects, cache.ResourceEventHandlerFuncs{AddFunc: c.queue.AddObject})
	c.loop.Watch(pods.Informer(), cache.ResourceEventHandlerFuncs{
		UpdateFunc: c.podReplaced,
		DeleteFunc: c.podGone,
	})
	return c
}

// slim drops what is not needed of an object's metadata.
func slim(obj any) (any, error) {
	if m, ok := obj.(*metav1.PartialObjectMetadata); ok {
		m.ManagedFields, m.Labels, m.Annotations = nil, nil, nil
	}
	return obj, nil
}

// podReplaced notices a pod that was deleted and made anew while the watch was
// interrupted.
func (c *Controller) podReplaced(old, obj any) {
	before, ok := old.(*corev1.Pod)
	after, ok2 := obj.(*corev1.Pod)
	if ok && ok2 && before.UID != after.UID {
		c.podGone(obj)
	}
}

func (c *Controller) podGone(obj any) {
	if pod, ok := run.NameOf(obj); ok {
		c.queue.AddAfter(pod.String(), settle)
	}
}

// Run deletes objects until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

func (c *Controller) sync(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil
	}
	return c.decide.reconcile(ctx, namespace, name)
}

// object returns nil where there is none.
func (c *Controller) object(namespace, name string) metav1.Object {
	obj, ok, err := c.objects.GetStore().GetByKey(cache.NewObjectName(namespace, name).String())
	if err != nil || !ok {
		return nil
	}
	m, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok {
		return nil
	}
	return m
}

func (c *Controller) remove(ctx context.Context, namespace, name string, uid types.UID) error {
	c.config.Log.DebugContext(ctx, "deleting what is said about a pod that is gone", "pod", namespace+"/"+name)
	return c.config.Metadata.Resource(resource).Namespace(namespace).Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
}
