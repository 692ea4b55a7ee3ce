package scheduler

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/controller/run"
)

// makeWay has less important pods end where that gives a pod its place, and tells the pod
// why it waits.
func (c *Controller) makeWay(ctx context.Context, key string, pod *corev1.Pod, d demand, w world, why unfit) error {
	nominated := c.ledger.nominatedTo(pod.UID)
	p, not := w.preempt(pod, d, why, nominated)
	text := why.String()
	if p == nil {
		if not != "" {
			text += " " + not
		}
		return c.refuse(ctx, key, pod, text)
	}
	c.ledger.nominate(pod, p.node, d)
	for _, victim := range p.victims {
		if err := c.evict(ctx, victim, pod, p.node); err != nil {
			return err
		}
	}
	if err := c.patch(ctx, pod, map[string]any{"nominatedNodeName": p.node}); err != nil {
		return fmt.Errorf("nominating node %s: %w", p.node, err)
	}
	return c.refuse(ctx, key, pod, text)
}

// evict has a pod end for another one.
func (c *Controller) evict(ctx context.Context, victim, pod *corev1.Pod, node string) error {
	if victim.DeletionTimestamp != nil {
		return nil
	}
	condition := corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
		Reason:  corev1.PodReasonPreemptionByScheduler,
		Message: Name + ": preempting to accommodate a higher priority pod", LastTransitionTime: metav1.Now(),
		ObservedGeneration: victim.Generation,
	}
	if err := c.patch(ctx, victim, map[string]any{"conditions": []corev1.PodCondition{condition}}); err != nil {
		return fmt.Errorf("telling %s/%s that it is preempted: %w", victim.Namespace, victim.Name, err)
	}
	options := metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(victim.UID))}
	if err := c.env.Client.CoreV1().Pods(victim.Namespace).Delete(ctx, victim.Name, options); err != nil && !run.Overtaken(err) {
		return fmt.Errorf("preempting %s/%s: %w", victim.Namespace, victim.Name, err)
	}
	c.env.Log.InfoContext(ctx, "a pod makes way for a more important one", "pod", victim.Namespace+"/"+victim.Name, "for", pod.Namespace+"/"+pod.Name, "node", node)
	c.loop.Events().Eventf(victim, corev1.EventTypeNormal, "Preempted", "Preempted by pod %s on node %s", pod.UID, node)
	return nil
}

// patch writes part of a pod's status.
func (c *Controller) patch(ctx context.Context, pod *corev1.Pod, status map[string]any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": status})
	if err != nil {
		return fmt.Errorf("encoding status: %w", err)
	}
	_, err = c.env.Client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !run.Overtaken(err) {
		return err
	}
	return nil
}
