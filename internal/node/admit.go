package node

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/node/admit"
	"laterna.dev/laterna/internal/node/status"
)

// rereadTime bounds the reading of the node, for which all new pods wait.
const rereadTime = 2 * time.Second

// admit decides about a pod that is new to the node. It is called with mu held, so
// that pods are admitted one after the other.
func (a *Agent) admit(ctx context.Context, pod *corev1.Pod) *status.Waiting {
	if pod.Status.StartTime != nil || pod.DeletionTimestamp != nil {
		return nil
	}
	return a.refusal(ctx, pod)
}

// refusal is why a pod does not run here with what its spec asks for, beside the others
// with what they are allocated. It is called with mu held.
func (a *Agent) refusal(ctx context.Context, pod *corev1.Pod) *status.Waiting {
	var others []*corev1.Pod
	for uid, w := range a.pods.byUID {
		if s := w.Snapshot(); uid != pod.UID && !s.Gone && s.Refused == nil {
			others = append(others, a.resizes.View(s.API))
		}
	}
	return admit.Node{Others: others, Allocatable: a.Allocatable(), Seen: a.registrar.Node(), Reread: func() *corev1.Node { return a.rereadNode(ctx) }}.Refuse(pod)
}

// rereadNode returns the node as the API has it now, nil when it does not answer.
func (a *Agent) rereadNode(ctx context.Context) *corev1.Node {
	ctx, cancel := context.WithTimeout(ctx, rereadTime)
	defer cancel()
	node, err := a.cfg.Client.CoreV1().Nodes().Get(ctx, a.cfg.NodeName, metav1.GetOptions{})
	if err != nil {
		a.cfg.Log.Warn("node not read for the admission of a pod, going by its labels as last seen", "node", a.cfg.NodeName, "error", err)
		return nil
	}
	return node
}
