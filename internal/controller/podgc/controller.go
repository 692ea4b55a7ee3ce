// Package podgc deletes pods that no agent will ever end: those of a node that is
// gone, and those that were deleted before they had a node. Pods of a node that is not
// there are told so before.
package podgc

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

// quarantine is how long a node has to be missing before its pods are deleted, so
// that a node that is registered anew finds them.
const quarantine = 40 * time.Second

// patience is how long a new pod's node may take to show here before the pod is told
// that it is missing.
const patience = 2 * time.Second

// settle is how long a pod that was deleted before it had a node may take to go by
// itself, which it does as soon as nothing holds it.
const settle = 5 * time.Second

// Name is the controller's, upstream's for it.
const Name = "pod-garbage-collector"

// Controller deletes pods without an agent. The quarantine passes on wall time, as
// heartbeats do.
type Controller struct {
	env    env.Env
	loop   *run.Loop
	queue  *queue.Queue // "node/<name>", "pod/<namespace>/<name>" and "tell/<namespace>/<name>"
	pods   corelisters.PodLister
	nodes  corelisters.NodeLister
	podsOf func(node string) []*corev1.Pod
	decide reconciler
}

// Prefixes of keys.
const (
	nodeKey = "node/"
	podKey  = "pod/"
	tellKey = "tell/"
)

// New makes a controller. Call it before the informers are started.
func New(e env.Env) *Controller {
	core := e.Informers.Core().V1()
	pods := core.Pods().Informer()
	c := &Controller{
		env:   e,
		loop:  run.New(e, "pods and nodes"),
		pods:  core.Pods().Lister(),
		nodes: core.Nodes().Lister(),
	}
	c.queue = c.loop.Queue(1, c.sync)
	c.loop.RecordAs(Name)
	var err error
	if c.podsOf, err = run.PodsByNode(pods); err != nil {
		c.loop.Fail(err)
		return c
	}
	c.decide = c.reconciler()
	c.loop.Watch(pods, run.Present(c.podSeen))
	c.loop.Watch(core.Nodes().Informer(), cache.ResourceEventHandlerFuncs{DeleteFunc: c.nodeGone})
	return c
}

func (c *Controller) reconciler() reconciler {
	return reconciler{
		cached: c.nodes.Get,
		live: func(ctx context.Context, name string) (*corev1.Node, error) {
			return c.env.Client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		},
		podsOf:  c.podsOf,
		fail:    c.fail,
		remove:  c.remove,
		missing: c.missing,
	}
}

func (c *Controller) podSeen(obj any) {
	pod, ok := obj.(*corev1.Pod)
	switch {
	case !ok:
	case pod.Spec.NodeName == "" && pod.DeletionTimestamp != nil:
		c.queue.AddAfter(podKey+pod.Namespace+"/"+pod.Name, settle)
	case pod.Spec.NodeName != "":
		if _, err := c.nodes.Get(pod.Spec.NodeName); err != nil {
			c.queue.AddAfter(nodeKey+pod.Spec.NodeName, quarantine)
			c.queue.AddAfter(tellKey+pod.Namespace+"/"+pod.Name, patience)
		}
	}
}

func (c *Controller) nodeGone(obj any) {
	if node, ok := run.NameOf(obj); ok {
		c.queue.AddAfter(nodeKey+node.Name, quarantine)
	}
}

// Run deletes pods until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

func (c *Controller) sync(ctx context.Context, key string) error {
	if node, ok := strings.CutPrefix(key, nodeKey); ok {
		return c.decide.node(ctx, node)
	}
	rest, tell := strings.CutPrefix(key, tellKey)
	namespace, name, err := cache.SplitMetaNamespaceKey(strings.TrimPrefix(rest, podKey))
	if err != nil {
		return nil
	}
	pod, err := c.pods.Pods(namespace).Get(name)
	if err != nil {
		return nil // gone by itself
	}
	if tell {
		return c.decide.tell(ctx, pod)
	}
	return c.decide.pod(ctx, pod)
}

// missing tells a pod that its node is not there.
func (c *Controller) missing(pod *corev1.Pod) {
	c.loop.Events().Eventf(pod, corev1.EventTypeWarning, "NodeNotFound", "The node %q of spec.nodeName is not there: nobody runs the pod, and it is deleted when the node has been missing for %s", pod.Spec.NodeName, quarantine)
}

// fail marks a pod as failed, so that what waits for its end does not wait for the
// agent.
func (c *Controller) fail(ctx context.Context, pod *corev1.Pod, condition corev1.PodCondition) error {
	condition.LastTransitionTime = metav1.NewTime(c.env.Wall.Now())
	return run.PatchPodStatus(ctx, c.env, pod, map[string]any{"phase": corev1.PodFailed, "conditions": []corev1.PodCondition{condition}})
}

func (c *Controller) remove(ctx context.Context, pod *corev1.Pod) error {
	c.env.Log.InfoContext(ctx, "deleting a pod that has no agent", "pod", pod.Namespace+"/"+pod.Name, "node", pod.Spec.NodeName)
	return run.DeletePod(ctx, c.env, pod, ptr.To[int64](0))
}
