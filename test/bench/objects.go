package main

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// measureObjects measures the requests that every client makes most.
func measureObjects(ctx context.Context, b *bench) ([]figure, error) {
	const n = 8
	s, err := b.started("--node=false")
	if err != nil {
		return nil, err
	}
	all, err := clients(s, n)
	if err != nil {
		return nil, err
	}
	var figures []figure
	for _, step := range []struct {
		what   string
		budget float64
		op     operation
	}{
		{"ConfigMap create", 1.5, createMap},
		{"ConfigMap get", 0.8, getMap},
		{"ConfigMap update", 2, updateMap},
	} {
		l, err := load(ctx, s, all, step.op)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
		figures = append(figures, l.figure(fmt.Sprintf("%s, %d clients", step.what, n), step.budget))
	}
	return figures, b.remove(s)
}

func mapName(id, n int) string { return fmt.Sprintf("client-%d-%d", id, n) }

func createMap(ctx context.Context, client kubernetes.Interface, id, n int) error {
	_, err := client.CoreV1().ConfigMaps(namespace).Create(ctx, sequence(mapName(id, n), n), metav1.CreateOptions{})
	return err
}

func getMap(ctx context.Context, client kubernetes.Interface, id, _ int) error {
	_, err := client.CoreV1().ConfigMaps(namespace).Get(ctx, mapName(id, 0), metav1.GetOptions{})
	return err
}

// updateMap writes another value every time: an update that changes nothing is not
// stored.
func updateMap(ctx context.Context, client kubernetes.Interface, id, n int) error {
	_, err := client.CoreV1().ConfigMaps(namespace).Update(ctx, sequence(mapName(id, 0), n+1), metav1.UpdateOptions{})
	return err
}
