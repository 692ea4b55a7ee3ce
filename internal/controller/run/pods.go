package run

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
)

// nodeIndex finds the pods of a node.
const nodeIndex = "spec.nodeName"

// PodsByNode returns what lists the pods that the informer has of a node, which are
// shared: read only. The index is shared by all that call it, one at a time.
func PodsByNode(pods cache.SharedIndexInformer) (of func(node string) []*corev1.Pod, err error) {
	indexer := pods.GetIndexer()
	if indexer.GetIndexers()[nodeIndex] == nil {
		if err := pods.AddIndexers(cache.Indexers{nodeIndex: nodeName}); err != nil {
			return nil, fmt.Errorf("indexing pods by node: %w", err)
		}
	}
	return func(node string) (all []*corev1.Pod) {
		objs, err := indexer.ByIndex(nodeIndex, node)
		if err != nil {
			panic(err) // there is the index
		}
		for _, obj := range objs {
			if pod, ok := obj.(*corev1.Pod); ok {
				all = append(all, pod)
			}
		}
		return all
	}, nil
}

func nodeName(obj any) ([]string, error) {
	if pod, ok := obj.(*corev1.Pod); ok && pod.Spec.NodeName != "" {
		return []string{pod.Spec.NodeName}, nil
	}
	return nil, nil
}

// PatchPodStatus changes part of the status of this very pod, which another of its name
// may have followed: the error tells then, see Overtaken.
func PatchPodStatus(ctx context.Context, e env.Env, pod *corev1.Pod, status map[string]any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": status})
	if err != nil {
		return fmt.Errorf("encoding status: %w", err)
	}
	_, err = e.Client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// DeletePod deletes this very pod with a grace period in seconds, or its own where that
// is nil. The error may be one of Overtaken.
func DeletePod(ctx context.Context, e env.Env, pod *corev1.Pod, grace *int64) error {
	return e.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name,
		metav1.DeleteOptions{GracePeriodSeconds: grace, Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
}

// Disrupt has a pod end before its time: its status tells why, and it is deleted with its
// own grace period. A pod that is gone or has changed is no error.
func Disrupt(ctx context.Context, e env.Env, pod *corev1.Pod, reason, message string) error {
	condition := corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: reason, Message: message,
		LastTransitionTime: metav1.NewTime(e.Wall.Now()), ObservedGeneration: pod.Generation,
	}
	err := PatchPodStatus(ctx, e, pod, map[string]any{"conditions": []corev1.PodCondition{condition}})
	if err != nil && !Overtaken(err) {
		return fmt.Errorf("telling pod %s/%s why it ends: %w", pod.Namespace, pod.Name, err)
	}
	if err := DeletePod(ctx, e, pod, nil); err != nil && !Overtaken(err) {
		return fmt.Errorf("deleting pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}
