package scheduler

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

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
	if err := run.PatchPodStatus(ctx, c.env, pod, map[string]any{"nominatedNodeName": p.node}); err != nil && !run.Overtaken(err) {
		return fmt.Errorf("nominating node %s: %w", p.node, err)
	}
	return c.refuse(ctx, key, pod, text)
}

// evict has a pod end for another one.
func (c *Controller) evict(ctx context.Context, victim, pod *corev1.Pod, node string) error {
	if victim.DeletionTimestamp != nil {
		return nil
	}
	err := run.Disrupt(ctx, c.env, victim, corev1.PodReasonPreemptionByScheduler, Name+": preempting to accommodate a higher priority pod")
	if err != nil {
		return fmt.Errorf("preempting for %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	c.env.Log.InfoContext(ctx, "a pod makes way for a more important one", "pod", victim.Namespace+"/"+victim.Name, "for", pod.Namespace+"/"+pod.Name, "node", node)
	c.loop.Events().Eventf(victim, corev1.EventTypeNormal, "Preempted", "Preempted by pod %s on node %s", pod.UID, node)
	return nil
}
