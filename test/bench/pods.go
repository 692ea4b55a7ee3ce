package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"laterna.dev/laterna/internal/nodefields"
)

// nodeReady tells whether there is a node, and it is ready.
func nodeReady(ctx context.Context, client kubernetes.Interface) (bool, error) {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	ready := func(n corev1.Node) bool { return nodefields.Ready(&n) == corev1.ConditionTrue }
	return slices.ContainsFunc(nodes.Items, ready), nil
}

// watchPods begins to watch pods from now on, the one of this name or all. A server
// ends the watch of a client that falls behind; then it is taken up again.
func watchPods(ctx context.Context, client kubernetes.Interface, name string) (watch.Interface, error) {
	pods := client.CoreV1().Pods(namespace)
	list, err := pods.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, err
	}
	return watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			if name != "" {
				o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
			}
			return pods.Watch(ctx, o)
		},
	})
}

// await reads events until done says so, at most for podLimit.
func await(ctx context.Context, w watch.Interface, done func(watch.EventType, *corev1.Pod) (bool, error)) error {
	limit := time.NewTimer(podLimit)
	defer limit.Stop()
	for {
		select {
		case event, open := <-w.ResultChan():
			if !open {
				return errors.New("the watch of pods ended")
			}
			pod, ok := event.Object.(*corev1.Pod)
			if !ok {
				return fmt.Errorf("watching pods: %+v", event.Object)
			}
			if ok, err := done(event.Type, pod); ok || err != nil {
				return err
			}
		case <-limit.C:
			return fmt.Errorf("waited for pods longer than %s", podLimit)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// running returns whether a pod runs, and an error when it never will.
func running(pod *corev1.Pod) (bool, error) {
	switch pod.Status.Phase {
	case corev1.PodRunning:
		return true, nil
	case corev1.PodFailed, corev1.PodSucceeded:
		return false, fmt.Errorf("pod %s ended: %s %s", pod.Name, pod.Status.Reason, pod.Status.Message)
	}
	for _, c := range pod.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && w.Reason == "ErrImagePull" {
			return false, fmt.Errorf("pod %s has no image: %s", pod.Name, w.Message)
		}
	}
	return false, nil
}

// condition tells whether a pod is as is waited for; its error says that it never will be.
type condition func(*corev1.Pod) (bool, error)

// ready returns whether a pod is Ready.
func ready(pod *corev1.Pod) (bool, error) {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return true, nil
		}
	}
	_, err := running(pod)
	return false, err
}

// runAll creates pods at once, and returns the time from the first request until
// the watch has told that all are Running.
func runAll(ctx context.Context, client kubernetes.Interface, pods []*corev1.Pod) (time.Duration, error) {
	return awaitAll(ctx, client, pods, running)
}

// awaitAll is runAll for pods that are waited for in another way.
func awaitAll(ctx context.Context, client kubernetes.Interface, pods []*corev1.Pod, until condition) (time.Duration, error) {
	w, err := watchPods(ctx, client, "")
	if err != nil {
		return 0, err
	}
	defer w.Stop()
	waiting := map[string]bool{}
	for _, pod := range pods {
		waiting[pod.Name] = true
	}
	begin := time.Now()
	if err := createAll(ctx, client, pods); err != nil {
		return 0, err
	}
	err = await(ctx, w, func(_ watch.EventType, pod *corev1.Pod) (bool, error) {
		if ok, err := until(pod); !ok || err != nil {
			return false, err
		}
		delete(waiting, pod.Name)
		return len(waiting) == 0, nil
	})
	if err != nil {
		return 0, fmt.Errorf("%d of %d pods are not as they should be: %w", len(waiting), len(pods), err)
	}
	return time.Since(begin), nil
}

func createAll(ctx context.Context, client kubernetes.Interface, pods []*corev1.Pod) error {
	errs := make([]error, len(pods))
	atOnce(len(pods), func(i int) {
		_, errs[i] = client.CoreV1().Pods(namespace).Create(ctx, pods[i], metav1.CreateOptions{})
	})
	return errors.Join(errs...)
}

// deleted deletes a pod and waits until it is gone.
func deleted(ctx context.Context, client kubernetes.Interface, name string) error {
	w, err := watchPods(ctx, client, name)
	if err != nil {
		return err
	}
	defer w.Stop()
	if err := client.CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	return await(ctx, w, func(t watch.EventType, _ *corev1.Pod) (bool, error) { return t == watch.Deleted, nil })
}

// measurePod takes pods one after the other, and the runtime's calls alone.
func measurePod(ctx context.Context, b *bench) ([]figure, error) {
	f, err := b.fleet(ctx)
	if err != nil {
		return nil, err
	}
	running, err := f.oneByOne(ctx, max(b.rounds, 20), plainPod("single"), running)
	if err != nil {
		return nil, err
	}
	ready, err := f.oneByOne(ctx, max(b.rounds, 20), readinessPod("single"), ready)
	if err != nil {
		return nil, err
	}
	bare, err := f.bareCalls(ctx, min(b.rounds, 5))
	if err != nil {
		return nil, fmt.Errorf("runtime's calls alone: %w", err)
	}
	pod := running.figure("one pod, create → Running", 400*time.Millisecond)
	pod.Note += "; " + bare.String()
	probed := ready.figure("one pod, create → Ready by an exec readiness probe", 0)
	probed.Note += fmt.Sprintf("; %s × create → Running", number(float64(ready.median())/float64(running.median())))
	return []figure{pod, probed}, nil
}

// oneByOne creates and deletes a pod several times, and returns how long it took each time
// until it was as is asked for.
func (f *fleet) oneByOne(ctx context.Context, rounds int, pod *corev1.Pod, until condition) (times durations, err error) {
	for range rounds {
		d, err := awaitAll(ctx, f.client, []*corev1.Pod{pod}, until)
		if err != nil {
			return nil, err
		}
		times = append(times, d)
		if err := deleted(ctx, f.client, pod.Name); err != nil {
			return nil, err
		}
	}
	return times, nil
}

// readinessPod is a pod that is ready when a command in it succeeds.
func readinessPod(name string) *corev1.Pod {
	pod := plainPod(name)
	pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}, PeriodSeconds: 1,
	}
	return pod
}

// measureHundredPods creates 100 pods on a system of their own.
func measureHundredPods(ctx context.Context, b *bench) ([]figure, error) {
	const many = 100
	f, err := b.newFleet(ctx)
	if err != nil {
		return nil, err
	}
	d, err := f.grow(ctx, many)
	if err != nil {
		return nil, err
	}
	if err := b.remove(f.system); err != nil {
		return nil, err
	}
	if f, err = b.newFleet(ctx); err != nil {
		return nil, err
	}
	bare, err := f.bareAtOnce(ctx, many)
	if err != nil {
		return nil, fmt.Errorf("runtime's calls alone: %w", err)
	}
	return []figure{{What: "100 pods created at once → all Running", Value: d.Seconds(), Unit: "s",
		Note: fmt.Sprintf("each with a token and a volume of two ConfigMaps; CRI calls alone %s s", number(bare.Seconds()))},
	}, b.remove(f.system)
}

// measurePods creates 50 pods at once and reads the memory with them.
func measurePods(ctx context.Context, b *bench) ([]figure, error) {
	const many = 50
	f, err := b.fleet(ctx)
	if err != nil {
		return nil, err
	}
	if f.pods > 0 {
		return nil, errors.New("there are pods already")
	}
	d, err := f.grow(ctx, many)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, settle); err != nil {
		return nil, err
	}
	m, err := occupied(f.system)
	if err != nil {
		return nil, err
	}
	bare, err := f.bareAtOnce(ctx, many)
	if err != nil {
		return nil, fmt.Errorf("runtime's calls alone: %w", err)
	}
	return []figure{
		{What: "50 pods created at once → all Running", Value: d.Seconds(), Unit: "s", Budget: 8,
			Note: fmt.Sprintf("each with a token and a volume of two ConfigMaps; CRI calls alone %s s", number(bare.Seconds()))},
		{What: "resident memory with 50 pods", Value: m.rss, Unit: "MiB",
			Note: fmt.Sprintf("sum of RSS of %d processes, not the containers': %s", m.processes, m.parts())},
	}, nil
}
