package compat

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// imageOfNothing is one that no agent of agents can start.
const imageOfNothing = "foo:non-existent"

// withoutNodes is a stage on a system of the test's own that runs no containers. It has
// nodes that nobody runs; pods on them are said to run, and to have ended, as an agent
// would say it.
func withoutNodes(t *testing.T, nodes ...string) *stage {
	t.Helper()
	t.Parallel()
	sys := started(t, "--node=false")
	s := &stage{system: sys, ns: "default", client: sys.client(t)}
	s.nodes(t, nodes...)
	t.Cleanup(agents(t, s.client, func(*corev1.Pod) {}))
	return s
}

// nodes makes nodes that nobody runs, and renews their leases: parallel tests may begin long
// after it.
func (s *stage) nodes(t *testing.T, names ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	t.Cleanup(func() { cancel(); done.Wait() })
	done.Go(func() {
		for tick := time.NewTicker(5 * time.Second); ; {
			for _, name := range names {
				s.renewed(ctx, name)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				tick.Stop()
				return
			}
		}
	})
	for _, name := range names {
		room := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("200")}
		_, err := s.client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Status: corev1.NodeStatus{Capacity: room, Allocatable: room,
				Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// renewed renews the lease of a node. One that could not be is renewed with the next.
func (s *stage) renewed(ctx context.Context, node string) {
	leases := s.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	spec := coordinationv1.LeaseSpec{HolderIdentity: &node, LeaseDurationSeconds: new(int32(40)), RenewTime: &metav1.MicroTime{Time: time.Now()}}
	_, err := leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: node}, Spec: spec}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		if lease, err := leases.Get(ctx, node, metav1.GetOptions{}); err == nil {
			lease.Spec = spec
			_, _ = leases.Update(ctx, lease, metav1.UpdateOptions{})
		}
	}
}

// agents says of all pods what the agents of their nodes would, until stop is called. It
// tells seen of each pod.
func agents(t *testing.T, client kubernetes.Interface, seen func(*corev1.Pod)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w, err := client.CoreV1().Pods("").Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for e := range w.ResultChan() {
			pod, ok := e.Object.(*corev1.Pod)
			if ok {
				seen(pod)
			}
			if !ok || e.Type == watch.Deleted || pod.Spec.NodeName == "" {
				continue
			}
			if err := report(ctx, client, pod); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	return func() { cancel(); w.Stop(); done.Wait() }
}

func report(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod) error {
	pods := client.CoreV1().Pods(pod.Namespace)
	switch {
	case pod.DeletionTimestamp != nil:
		return pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0)), Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
	case pod.Status.Phase != corev1.PodPending || pod.Spec.Containers[0].Image == imageOfNothing:
		return nil
	}
	patch := fmt.Sprintf(`{"metadata":{"uid":%q},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True","lastTransitionTime":%q}]}}`, pod.UID, time.Now().UTC().Format(time.RFC3339))
	_, err := pods.Patch(ctx, pod.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	return err
}
