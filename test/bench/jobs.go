package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/test/system"
)

// measureJobs creates many Jobs on a system without a node, and plays their pods.
func measureJobs(ctx context.Context, b *bench) ([]figure, error) {
	const many, n = 1000, 8
	s, err := b.started("--node=false")
	if err != nil {
		return nil, err
	}
	all, err := clients(s, n)
	if err != nil {
		return nil, err
	}
	begun, err := timed(ctx, s, all, many, func(j *batchv1.Job) bool { return j.Status.Active == 1 }, func(client kubernetes.Interface, i int) error {
		_, err := client.BatchV1().Jobs(namespace).Create(ctx, emptyJob(i), metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("beginning jobs: %w", err)
	}
	pods, err := all[0].CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel})
	if err != nil {
		return nil, err
	}
	if len(pods.Items) != many {
		return nil, fmt.Errorf("%d jobs have %d pods", many, len(pods.Items))
	}
	over := func(j *batchv1.Job) bool { return j.Status.CompletionTime != nil }
	ended, err := timed(ctx, s, all, many, over, func(client kubernetes.Interface, i int) error {
		patch := []byte(`{"status":{"phase":"Succeeded"}}`)
		_, err := client.CoreV1().Pods(namespace).Patch(ctx, pods.Items[i].Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ending jobs: %w", err)
	}
	return []figure{
		begun.figure(fmt.Sprintf("%d Jobs created by %d clients → each has its pod and says so", many, n), many),
		ended.figure(fmt.Sprintf("their %d pods succeed → all Jobs Complete", many), many),
	}, b.remove(s)
}

func emptyJob(i int) *batchv1.Job {
	return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("job-%d", i)}, Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "main", Image: "busybox:1.28"}},
	}}}}
}

// lapse is how long something took, and what of the processor's time the server.
type lapse struct{ wall, cpu time.Duration }

func (l lapse) figure(what string, n int) figure {
	return figure{What: what, Value: l.wall.Seconds(), Unit: "s", Note: fmt.Sprintf("%s ms of the server's CPU a Job", number(l.cpu.Seconds()*1000/float64(n)))}
}

// timed lets clients do something for each of n jobs, and waits until so many are as
// wanted.
func timed(ctx context.Context, s *system.System, all []kubernetes.Interface, n int, wanted func(*batchv1.Job) bool, do func(client kubernetes.Interface, i int) error) (lapse, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	watch, err := all[0].BatchV1().Jobs(namespace).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return lapse{}, err
	}
	defer watch.Stop()
	before, err := cpuTime(s.PID())
	if err != nil {
		return lapse{}, err
	}
	began := time.Now()
	failed := make(chan error, 1)
	go func() {
		var next atomic.Int64
		errs := make([]error, len(all))
		atOnce(len(all), func(client int) {
			for i := int(next.Add(1)) - 1; i < n && errs[client] == nil; i = int(next.Add(1)) - 1 {
				errs[client] = do(all[client], i)
			}
		})
		failed <- errors.Join(errs...)
	}()
	seen := map[types.UID]bool{}
	for len(seen) < n {
		select {
		case err := <-failed:
			if err != nil {
				return lapse{}, err
			}
			failed = nil
		case e, ok := <-watch.ResultChan():
			if !ok {
				return lapse{}, fmt.Errorf("the watch ended when %d of %d jobs were as wanted", len(seen), n)
			}
			if j, ok := e.Object.(*batchv1.Job); ok && wanted(j) {
				seen[j.UID] = true
			}
		case <-ctx.Done():
			return lapse{}, fmt.Errorf("%d of %d jobs are as wanted: %w", len(seen), n, ctx.Err())
		}
	}
	wall := time.Since(began)
	after, err := cpuTime(s.PID())
	return lapse{wall, after - before}, err
}
