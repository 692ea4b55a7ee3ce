package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// replicas is how many pods the Deployment of the row has.
const replicas = 100

// measureRollout measures a Deployment on simulated nodes. The bare creates of as many
// pods in the same run are what it is compared with.
func measureRollout(ctx context.Context, b *bench) ([]figure, error) {
	s, err := b.started("--node=false")
	if err != nil {
		return nil, err
	}
	nodes, err := simulate(ctx, s, 4, runs)
	if err != nil {
		return nil, err
	}
	figures, err := rollout(ctx, nodes.client)
	return figures, errors.Join(err, nodes.close(), b.remove(s))
}

func rollout(ctx context.Context, client kubernetes.Interface) ([]figure, error) {
	began := time.Now()
	for i := range replicas {
		if _, err := client.CoreV1().Pods(namespace).Create(ctx, plainPod(podName(i)), metav1.CreateOptions{}); err != nil {
			return nil, err
		}
	}
	bare := time.Since(began)
	if err := client.CoreV1().Pods(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		return nil, err
	}

	began = time.Now()
	labels := map[string]string{"app": "bench"}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "bench"}}
	d.Spec.Replicas, d.Spec.Selector = new(int32(replicas)), &metav1.LabelSelector{MatchLabels: labels}
	d.Spec.Template.Labels, d.Spec.Template.Spec = labels, plainPod("x").Spec
	d, err := client.AppsV1().Deployments(namespace).Create(ctx, d, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	created, err := awaitDeployment(ctx, client, d, began, func(s appsv1.DeploymentStatus) bool { return s.Replicas == replicas })
	if err != nil {
		return nil, fmt.Errorf("creating: %w", err)
	}
	available, err := awaitDeployment(ctx, client, d, began, rolledOut)
	if err != nil {
		return nil, fmt.Errorf("becoming available: %w", err)
	}
	began = time.Now()
	patch := []byte(`{"spec":{"template":{"metadata":{"annotations":{"round":"2"}}}}}`)
	if d, err = client.AppsV1().Deployments(namespace).Patch(ctx, d.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return nil, err
	}
	rolled, err := awaitDeployment(ctx, client, d, began, rolledOut)
	if err != nil {
		return nil, fmt.Errorf("rolling out: %w", err)
	}
	note := fmt.Sprintf("%d bare creates of pods, one after another: %s s", replicas, number(bare.Seconds()))
	return []figure{
		{What: "Deployment of 100 created → all pods made", Value: created.Seconds(), Unit: "s", Note: note},
		{What: "→ all available (simulated nodes)", Value: available.Seconds(), Unit: "s"},
		{What: "template changed → rolled out", Value: rolled.Seconds(), Unit: "s"},
	}, nil
}

func rolledOut(s appsv1.DeploymentStatus) bool {
	return s.Replicas == replicas && s.UpdatedReplicas == replicas && s.AvailableReplicas == replicas
}

// awaitDeployment waits until the status of what was written is as wanted, and returns how
// long it took since began.
func awaitDeployment(ctx context.Context, client kubernetes.Interface, d *appsv1.Deployment, began time.Time, want func(appsv1.DeploymentStatus) bool) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, podLimit)
	defer cancel()
	w, err := client.AppsV1().Deployments(namespace).Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", d.Name).String()})
	if err != nil {
		return 0, err
	}
	defer w.Stop()
	var last appsv1.DeploymentStatus
	for event := range w.ResultChan() {
		now, ok := event.Object.(*appsv1.Deployment)
		if !ok {
			return 0, fmt.Errorf("watching: %s %v", event.Type, event.Object)
		}
		if last = now.Status; last.ObservedGeneration >= d.Generation && want(last) {
			return time.Since(began), nil
		}
	}
	return 0, errors.Join(fmt.Errorf("not as wanted: %d of %d replicas, %d updated, %d available", last.Replicas, replicas, last.UpdatedReplicas, last.AvailableReplicas), ctx.Err())
}
