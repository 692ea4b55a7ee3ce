package workload

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"

	"laterna.dev/laterna/internal/controller/env"
)

// Parent is an object that has pods.
type Parent interface {
	metav1.Object
	runtime.Object
}

// PodsKind is what Written knows pods by.
const PodsKind = "pods"

// PodControl makes and deletes the pods of parents, and records it at the parent.
type PodControl struct {
	Env env.Env
	// Events records events; asked at each, since a loop has none before it runs.
	Events func() record.EventRecorder
	// Written is told of what was made. Optional.
	Written *Written
}

// FromTemplate is a pod as a template of a parent has it, named after the parent.
func FromTemplate(t *corev1.PodTemplateSpec, parent metav1.Object, kind schema.GroupVersionKind) *corev1.Pod {
	t = t.DeepCopy()
	prefix := parent.GetName() + "-"
	if len(apivalidation.NameIsDNSSubdomain(prefix, true)) > 0 {
		prefix = parent.GetName()
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: prefix, Namespace: parent.GetNamespace(),
			Labels: t.Labels, Annotations: t.Annotations, Finalizers: t.Finalizers,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(parent, kind)},
		},
		Spec: t.Spec,
	}
}

// Create makes a pod of a parent. One that is refused since its namespace is ending is
// none and no error.
func (c *PodControl) Create(ctx context.Context, parent Parent, pod *corev1.Pod) (*corev1.Pod, error) {
	if len(pod.Labels) == 0 {
		return nil, errors.New("unable to create pods, no labels")
	}
	made, err := c.Env.Client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil, nil
	}
	if err != nil {
		c.Events().Eventf(parent, corev1.EventTypeWarning, "FailedCreate", "Error creating: %v", err)
		return nil, err
	}
	if c.Written != nil {
		c.Written.Wrote(parent.GetUID(), PodsKind, made)
	}
	c.Events().Eventf(parent, corev1.EventTypeNormal, "SuccessfulCreate", "Created pod: %s", made.Name)
	return made, nil
}

// Delete deletes this very pod of a parent. One that is gone already is no error.
func (c *PodControl) Delete(ctx context.Context, parent Parent, pod *corev1.Pod) error {
	err := c.Env.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
	switch {
	case apierrors.IsNotFound(err):
		if c.Written != nil {
			c.Written.Gone(parent.GetUID(), PodsKind, pod)
		}
		return nil
	case apierrors.IsConflict(err):
		return nil
	}
	if err == nil && c.Written != nil {
		c.Written.Deleted(parent.GetUID(), PodsKind, pod)
	}
	if err != nil {
		c.Events().Eventf(parent, corev1.EventTypeWarning, "FailedDelete", "Error deleting: %v", err)
		return fmt.Errorf("deleting pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	c.Events().Eventf(parent, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted pod: %s", pod.Name)
	return nil
}

// Patches returns what sends strategic merge patches of a parent's pods, as Claims does;
// written, which may be nil, is told of what they make.
func Patches(e env.Env, written *Written, parent types.UID) func(ctx context.Context, pod *corev1.Pod, patch []byte) error {
	return func(ctx context.Context, pod *corev1.Pod, patch []byte) error {
		stored, err := e.Client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		if err == nil && written != nil {
			written.Wrote(parent, PodsKind, stored)
		}
		return err
	}
}
