package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/test/system"
)

// measureCollection measures the garbage collector with many dependents of one owner.
func measureCollection(ctx context.Context, b *bench) ([]figure, error) {
	const dependents, writers = 5000, 8
	s, err := b.started("--node=false")
	if err != nil {
		return nil, err
	}
	all, err := clients(s, writers)
	if err != nil {
		return nil, err
	}
	var figures []figure
	for _, policy := range []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan} {
		took, err := collect(ctx, s, all, policy, dependents)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", policy, err)
		}
		figures = append(figures, figure{
			What: fmt.Sprintf("%d dependents, %s → done", dependents, policy), Value: took.Seconds(), Unit: "s",
			Note: fmt.Sprintf("%.0f a second", dependents/took.Seconds()),
		})
	}
	return figures, b.remove(s)
}

// collect makes an owner with dependents, deletes it and waits until all is done.
func collect(ctx context.Context, s *system.System, all []kubernetes.Interface, policy metav1.DeletionPropagation, dependents int) (time.Duration, error) {
	maps := all[0].CoreV1().ConfigMaps(namespace)
	owner, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "owner-"}}, metav1.CreateOptions{})
	if err != nil {
		return 0, err
	}
	yes := true
	refs := []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID, BlockOwnerDeletion: &yes}}
	errs := make(chan error, len(all))
	for id, client := range all {
		go func() {
			for n := id; n < dependents; n += len(all) {
				made := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", owner.Name, n), Labels: map[string]string{"owner": owner.Name}, OwnerReferences: refs}}
				if _, err := client.CoreV1().ConfigMaps(namespace).Create(ctx, made, metav1.CreateOptions{}); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range all {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := maps.Delete(ctx, owner.Name, metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
		return 0, err
	}
	for range time.Tick(10 * time.Millisecond) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		_, err := maps.Get(ctx, owner.Name, metav1.GetOptions{})
		if err == nil {
			continue
		}
		if !apierrors.IsNotFound(err) {
			return 0, err
		}
		if policy == metav1.DeletePropagationOrphan {
			return time.Since(began), nil // nobody is owned any more
		}
		left, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "owner=" + owner.Name, Limit: 1})
		if err != nil {
			return 0, err
		}
		if len(left.Items) == 0 {
			break
		}
	}
	return time.Since(began), nil
}
