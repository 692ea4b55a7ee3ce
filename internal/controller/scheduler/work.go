package scheduler

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"

	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/nodefields"
)

// decision is a pod and the node that was chosen for it.
type decision struct {
	pod  *corev1.Pod
	node string
}

// verdict is what a pod that no node takes was told, and when.
type verdict struct {
	uid types.UID
	why string
	at  time.Time
	// social pods wait for others to be somewhere, or not.
	social   bool
	priority int32
	created  time.Time
}

func social(v verdict) bool { return v.social }

func verdictOf(pod *corev1.Pod) verdict {
	a := pod.Spec.Affinity
	return verdict{
		uid: pod.UID, priority: schedulinghelper.PodPriority(pod), created: pod.CreationTimestamp.Time,
		social: len(pod.Spec.TopologySpreadConstraints) > 0 || a != nil && (a.PodAffinity != nil || a.PodAntiAffinity != nil),
	}
}

// remind is how often a pod that waits for an unchanged reason gets an event.
const remind = 5 * time.Minute

// decide looks for a node for one pod.
func (c *Controller) decide(ctx context.Context, key string) error {
	pod, err := c.pod(key)
	if err == nil && pod != nil && foreign(pod) {
		c.disown(key, pod)
		return nil
	}
	if err != nil || pod == nil || !schedulable(pod) || c.ledger.placed(pod.UID) {
		return err
	}
	c.expectRetry(key, pod)
	w, err := c.world(pod)
	if err != nil {
		return err
	}
	d := demandOf(pod)
	node, why := w.choose(pod, d)
	if node == "" {
		return c.makeWay(ctx, key, pod, d, w, why)
	}
	c.ledger.assume(pod, node, d)
	c.mu.Lock()
	delete(c.unplaced, key)
	c.chosen[key] = decision{pod, node}
	c.mu.Unlock()
	c.decided.Add(key)
	c.retry(social) // it may be whom others wait for
	return nil
}

// patience is how long another scheduler has to place a pod before the pod is told that
// none of that name is known here.
const patience = 10 * time.Second

// disown tells a pod, once, that it waits for somebody else.
func (c *Controller) disown(key string, pod *corev1.Pod) {
	c.mu.Lock()
	told := c.unplaced[key].uid == pod.UID
	v := verdictOf(pod)
	v.at = c.env.Wall.Now()
	c.unplaced[key] = v
	c.mu.Unlock()
	if !told {
		c.loop.Events().Eventf(pod, corev1.EventTypeWarning, "FailedScheduling", "no scheduler called %q runs in Laterna (spec.schedulerName): the pod waits until somebody binds it to a node", pod.Spec.SchedulerName)
	}
}

// expectRetry makes a change that happens from now on queue the pod again, so that
// none is missed between looking at the nodes and giving up on them.
func (c *Controller) expectRetry(key string, pod *corev1.Pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unplaced[key].uid != pod.UID {
		c.unplaced[key] = verdictOf(pod)
	}
}

// pod returns the pod of a key, nil when it is gone.
func (c *Controller) pod(key string) (*corev1.Pod, error) {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil, nil
	}
	pod, err := c.pods.Pods(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return pod, err
}

// refuse tells a pod why it waits. It is tried again when something changes.
func (c *Controller) refuse(ctx context.Context, key string, pod *corev1.Pod, why string) error {
	now := c.env.Wall.Now()
	c.mu.Lock()
	before := c.unplaced[key]
	known := before.uid == pod.UID && before.why == why
	told := known && now.Sub(before.at) < remind
	if told {
		now = before.at
	}
	v := verdictOf(pod)
	v.why, v.at = why, now
	c.unplaced[key] = v
	c.mu.Unlock()
	if !told {
		c.loop.Events().Event(pod, corev1.EventTypeWarning, "FailedScheduling", cut(why))
	}
	if known {
		return nil
	}
	err := c.markUnschedulable(ctx, pod, why)
	if err != nil {
		c.mu.Lock()
		c.unplaced[key] = verdictOf(pod)
		c.mu.Unlock()
	}
	return err
}

// longest is how long the message of an event is at most.
const longest = 1024

func cut(text string) string {
	if len(text) <= longest {
		return text
	}
	return text[:longest-len(" ...")] + " ..."
}

func (c *Controller) markUnschedulable(ctx context.Context, pod *corev1.Pod, why string) error {
	condition := corev1.PodCondition{
		Type:               corev1.PodScheduled,
		Status:             corev1.ConditionFalse,
		Reason:             corev1.PodReasonUnschedulable,
		Message:            why,
		LastTransitionTime: metav1.NewTime(c.env.Wall.Now()),
		ObservedGeneration: pod.Generation,
	}
	for _, old := range pod.Status.Conditions {
		if old.Type == condition.Type && old.Status == condition.Status {
			condition.LastTransitionTime = old.LastTransitionTime
		}
	}
	err := run.PatchPodStatus(ctx, c.env, pod, map[string]any{"conditions": []corev1.PodCondition{condition}})
	if err != nil && !run.Overtaken(err) {
		return fmt.Errorf("writing condition: %w", err)
	}
	return nil
}

// bind writes one decision. When the API refuses it, the place is free again and
// the pod is decided about anew.
func (c *Controller) bind(ctx context.Context, key string) error {
	c.mu.Lock()
	d, ok := c.chosen[key]
	delete(c.chosen, key)
	c.mu.Unlock()
	if !ok {
		return nil
	}
	binding := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.pod.Namespace, Name: d.pod.Name, UID: d.pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: d.node},
	}
	err := c.env.Client.CoreV1().Pods(d.pod.Namespace).Bind(ctx, binding, metav1.CreateOptions{})
	if err == nil {
		c.loop.Events().Eventf(d.pod, corev1.EventTypeNormal, "Scheduled", "Successfully assigned %s to %s", key, d.node)
		return nil
	}
	c.ledger.withdraw(d.pod.UID)
	c.retryAll()
	if run.Overtaken(err) {
		// The pod is gone, is another one by now, or has a node; a watch will
		// tell, and it may have told before the place was given back.
		c.waiting.AddAfter(key, time.Second)
		return nil
	}
	c.loop.Events().Eventf(d.pod, corev1.EventTypeWarning, "FailedScheduling", "binding rejected: %v", err)
	c.waiting.AddAfter(key, time.Second)
	return fmt.Errorf("binding to %s: %w", d.node, err)
}

// matters reports whether a pod that waits could fit after a change of a node.
func matters(old, node *corev1.Node) bool {
	return old.Spec.Unschedulable != node.Spec.Unschedulable ||
		nodefields.Ready(old) != nodefields.Ready(node) ||
		!maps.Equal(old.Labels, node.Labels) ||
		!slices.EqualFunc(old.Spec.Taints, node.Spec.Taints, func(a, b corev1.Taint) bool { return a.MatchTaint(&b) && a.Value == b.Value }) ||
		!equality.Semantic.DeepEqual(old.Status.Allocatable, node.Status.Allocatable)
}
