package replicaset

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/workload"
)

// kind is a kind of sets. Whatever it is, its sets are read and written as ReplicaSets,
// which say their own kind.
type kind struct {
	gvk schema.GroupVersionKind
	// component is the source of events.
	component string
	informer  cache.SharedIndexInformer
	// of returns an object of the cache as a set, which shares its parts: read only. It is
	// nil for what is none.
	of func(obj any) *appsv1.ReplicaSet
	// owned returns the sets of a controller.
	owned func(controller types.UID) []*appsv1.ReplicaSet
	live  func(ctx context.Context, namespace, name string) (metav1.Object, error)
	// report writes the status of a set.
	report func(ctx context.Context, set *appsv1.ReplicaSet, o metav1.UpdateOptions) (*appsv1.ReplicaSet, error)
}

func replicaSets(e env.Env) (kind, error) {
	shared, client := e.Informers.Apps().V1().ReplicaSets().Informer(), e.Client.AppsV1()
	owned, err := workload.Index[*appsv1.ReplicaSet](shared)
	if err != nil {
		return kind{}, fmt.Errorf("watching ReplicaSets: %w", err)
	}
	gvk := appsv1.SchemeGroupVersion.WithKind("ReplicaSet")
	return kind{
		gvk: gvk, component: Name, informer: shared, owned: owned.Of,
		of: func(obj any) *appsv1.ReplicaSet {
			set, ok := obj.(*appsv1.ReplicaSet)
			if !ok {
				return nil
			}
			said := *set
			said.SetGroupVersionKind(gvk)
			return &said
		},
		live: func(ctx context.Context, namespace, name string) (metav1.Object, error) {
			return client.ReplicaSets(namespace).Get(ctx, name, metav1.GetOptions{})
		},
		report: func(ctx context.Context, set *appsv1.ReplicaSet, o metav1.UpdateOptions) (*appsv1.ReplicaSet, error) {
			return client.ReplicaSets(set.Namespace).UpdateStatus(ctx, set, o)
		},
	}, nil
}

func replicationControllers(e env.Env) (kind, error) {
	shared, client := e.Informers.Core().V1().ReplicationControllers().Informer(), e.Client.CoreV1()
	owned, err := workload.Index[*corev1.ReplicationController](shared)
	if err != nil {
		return kind{}, fmt.Errorf("watching ReplicationControllers: %w", err)
	}
	return kind{
		gvk: controllerKind, component: ReplicationName, informer: shared,
		of: func(obj any) *appsv1.ReplicaSet {
			c, ok := obj.(*corev1.ReplicationController)
			if !ok {
				return nil
			}
			return setOf(c)
		},
		owned: func(controller types.UID) (all []*appsv1.ReplicaSet) {
			for _, c := range owned.Of(controller) {
				all = append(all, setOf(c))
			}
			return all
		},
		live: func(ctx context.Context, namespace, name string) (metav1.Object, error) {
			return client.ReplicationControllers(namespace).Get(ctx, name, metav1.GetOptions{})
		},
		report: func(ctx context.Context, set *appsv1.ReplicaSet, o metav1.UpdateOptions) (*appsv1.ReplicaSet, error) {
			c, err := client.ReplicationControllers(set.Namespace).UpdateStatus(ctx, controllerOf(set), o)
			if err != nil {
				return nil, err
			}
			return setOf(c), nil
		},
	}, nil
}

var controllerKind = corev1.SchemeGroupVersion.WithKind("ReplicationController")

// setOf is a ReplicationController as a ReplicaSet, which shares its parts.
func setOf(c *corev1.ReplicationController) *appsv1.ReplicaSet {
	set := &appsv1.ReplicaSet{
		ObjectMeta: c.ObjectMeta,
		Spec: appsv1.ReplicaSetSpec{
			Replicas: c.Spec.Replicas, MinReadySeconds: c.Spec.MinReadySeconds,
			Selector: &metav1.LabelSelector{MatchLabels: c.Spec.Selector},
		},
		Status: appsv1.ReplicaSetStatus{
			Replicas: c.Status.Replicas, FullyLabeledReplicas: c.Status.FullyLabeledReplicas, ReadyReplicas: c.Status.ReadyReplicas,
			AvailableReplicas: c.Status.AvailableReplicas, ObservedGeneration: c.Status.ObservedGeneration,
		},
	}
	set.SetGroupVersionKind(controllerKind)
	if c.Spec.Template != nil {
		set.Spec.Template = *c.Spec.Template
	}
	for _, x := range c.Status.Conditions {
		set.Status.Conditions = append(set.Status.Conditions, appsv1.ReplicaSetCondition{
			Type: appsv1.ReplicaSetConditionType(x.Type), Status: x.Status, LastTransitionTime: x.LastTransitionTime, Reason: x.Reason, Message: x.Message,
		})
	}
	return set
}

// controllerOf is setOf the other way.
func controllerOf(set *appsv1.ReplicaSet) *corev1.ReplicationController {
	c := &corev1.ReplicationController{
		ObjectMeta: set.ObjectMeta,
		Spec: corev1.ReplicationControllerSpec{
			Replicas: set.Spec.Replicas, MinReadySeconds: set.Spec.MinReadySeconds,
			Selector: set.Spec.Selector.MatchLabels, Template: &set.Spec.Template,
		},
		Status: corev1.ReplicationControllerStatus{
			Replicas: set.Status.Replicas, FullyLabeledReplicas: set.Status.FullyLabeledReplicas, ReadyReplicas: set.Status.ReadyReplicas,
			AvailableReplicas: set.Status.AvailableReplicas, ObservedGeneration: set.Status.ObservedGeneration,
		},
	}
	for _, x := range set.Status.Conditions {
		c.Status.Conditions = append(c.Status.Conditions, corev1.ReplicationControllerCondition{
			Type: corev1.ReplicationControllerConditionType(x.Type), Status: x.Status, LastTransitionTime: x.LastTransitionTime, Reason: x.Reason, Message: x.Message,
		})
	}
	return c
}
