package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/test/system"
)

// simulated are nodes that nobody runs: their pods are told of as running as soon as they
// are bound, and go as soon as they are deleted. What is measured on them is the server
// and its controllers alone.
type simulated struct {
	client kubernetes.Interface
	nodes  []string
	// say is what is told of a pod that is bound.
	say func(pod *corev1.Pod) corev1.PodStatus

	stop context.CancelFunc
	done sync.WaitGroup
	mu   sync.Mutex
	err  error
}

// heartbeat is how often the leases of simulated nodes are renewed; they lapse in 40 s.
const heartbeat = 10 * time.Second

// simulate registers nodes with room for 110 pods each, and keeps them until close.
func simulate(ctx context.Context, s *system.System, nodes int, say func(*corev1.Pod) corev1.PodStatus) (*simulated, error) {
	client, err := s.Client()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	m := &simulated{client: client, say: say, stop: stop}
	for i := range nodes {
		name := fmt.Sprintf("simulated-%d", i)
		if err := m.register(ctx, name); err != nil {
			stop()
			return nil, err
		}
		m.nodes = append(m.nodes, name)
	}
	pods, err := client.CoreV1().Pods("").Watch(ctx, metav1.ListOptions{})
	if err != nil {
		stop()
		return nil, err
	}
	m.done.Go(func() { m.failed(m.beat(ctx)) })
	m.done.Go(func() { m.failed(m.follow(ctx, pods)) })
	return m, nil
}

// close ends the nodes and returns what went wrong with them.
func (m *simulated) close() error {
	m.stop()
	m.done.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

func (m *simulated) failed(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil && !errors.Is(err, context.Canceled) {
		m.err = errors.Join(m.err, err)
	}
}

func (m *simulated) register(ctx context.Context, name string) error {
	if _, err := m.client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	room := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("110"), corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("64Gi")}
	now := metav1.Now()
	status, err := json.Marshal(corev1.Node{Status: corev1.NodeStatus{Capacity: room, Allocatable: room, Conditions: []corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Simulated", LastHeartbeatTime: now, LastTransitionTime: now},
	}}})
	if err != nil {
		return err
	}
	// Controllers write to a new node, too.
	if _, err := m.client.CoreV1().Nodes().Patch(ctx, name, types.StrategicMergePatchType, status, metav1.PatchOptions{}, "status"); err != nil {
		return err
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name}}
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &name, new(int32(40)), &metav1.MicroTime{Time: now.Time}
	_, err = m.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Create(ctx, lease, metav1.CreateOptions{})
	return err
}

func (m *simulated) beat(ctx context.Context) error {
	leases := m.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	for {
		if err := pause(ctx, heartbeat); err != nil {
			return nil
		}
		for _, name := range m.nodes {
			lease, err := leases.Get(ctx, name, metav1.GetOptions{})
			if err == nil {
				lease.Spec.RenewTime = &metav1.MicroTime{Time: time.Now()}
				_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
			}
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("renewing the lease of %s: %w", name, err)
			}
		}
	}
}

// follow tells of pods as they are bound and deleted, several at once as agents would.
func (m *simulated) follow(ctx context.Context, pods watch.Interface) error {
	defer pods.Stop()
	told := map[string]bool{}
	room := make(chan struct{}, 8)
	var all sync.WaitGroup
	defer all.Wait()
	for event := range pods.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		if ctx.Err() != nil {
			return nil
		}
		if !ok {
			return fmt.Errorf("watching pods: %s %v", event.Type, event.Object)
		}
		uid := string(pod.UID)
		var act func() error
		switch {
		case event.Type == watch.Deleted || pod.Spec.NodeName == "":
		case pod.DeletionTimestamp != nil && !told["end of "+uid]:
			told["end of "+uid] = true
			act = func() error {
				return m.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
			}
		case pod.DeletionTimestamp == nil && !told[uid]:
			told[uid] = true
			act = func() error {
				next := pod.DeepCopy()
				next.Status = m.say(pod)
				_, err := m.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, next, metav1.UpdateOptions{})
				return err
			}
		}
		if act == nil {
			continue
		}
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			if err := act(); err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				m.failed(err)
			}
		})
	}
	return nil
}

// runs is what is told of a pod that runs and is ready.
func runs(pod *corev1.Pod) corev1.PodStatus {
	now := metav1.Now()
	s := pod.Status
	s.Phase, s.PodIP, s.StartTime = corev1.PodRunning, "192.0.2.1", &now
	s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	for _, kind := range []corev1.PodConditionType{corev1.PodReady, corev1.ContainersReady} {
		s.Conditions = append(s.Conditions, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now})
	}
	return s
}
