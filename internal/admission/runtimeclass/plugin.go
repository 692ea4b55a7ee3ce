// Package runtimeclass gives pods what their RuntimeClass says, and refuses those whose
// class is not there: the RuntimeClass admission of Kubernetes. The kind itself lives in
// internal/registry/node/runtimeclass.
package runtimeclass

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes"
)

// Plugin admits new pods. Its methods may be called concurrently.
type Plugin struct {
	*admission.Handler
	client kubernetes.Interface
}

var (
	_ admission.MutationInterface   = &Plugin{}
	_ admission.ValidationInterface = &Plugin{}
)

// New returns the plugin. It reads the class with client, of those pods alone that name
// one.
func New(client kubernetes.Interface) *Plugin {
	return &Plugin{admission.NewHandler(admission.Create), client}
}

// Admit implements admission.MutationInterface.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod := podOf(a)
	if pod == nil {
		return nil
	}
	class, err := p.class(ctx, pod)
	if err == nil && class != nil {
		charge(pod, class.Overhead)
		err = schedule(pod, class.Scheduling)
	}
	if err == nil {
		err = check(pod, class)
	}
	return refused(a, err)
}

// Validate implements admission.ValidationInterface: later plugins may have changed what
// Admit has set.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod := podOf(a)
	if pod == nil {
		return nil
	}
	class, err := p.class(ctx, pod)
	if err == nil {
		err = check(pod, class)
	}
	return refused(a, err)
}

func refused(a admission.Attributes, err error) error {
	if err == nil {
		return nil
	}
	return admission.NewForbidden(a, err)
}

// podOf returns the pod that is being created, nil if something else happens.
func podOf(a admission.Attributes) *corev1.Pod {
	if a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "" || a.GetOperation() != admission.Create {
		return nil
	}
	pod, _ := a.GetObject().(*corev1.Pod)
	return pod
}

// class returns the class that a pod names, nil where it names none.
func (p *Plugin) class(ctx context.Context, pod *corev1.Pod) (*nodev1.RuntimeClass, error) {
	if pod.Spec.RuntimeClassName == nil || *pod.Spec.RuntimeClassName == "" {
		return nil, nil
	}
	class, err := p.client.NodeV1().RuntimeClasses().Get(ctx, *pod.Spec.RuntimeClassName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("pod rejected: RuntimeClass %q not found", *pod.Spec.RuntimeClassName)
	case err != nil:
		return nil, fmt.Errorf("reading RuntimeClass %q: %w", *pod.Spec.RuntimeClassName, err)
	}
	return class, nil
}

// schedule adds the node selector and the tolerations of a class.
func schedule(pod *corev1.Pod, s *nodev1.Scheduling) error {
	if s == nil {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(s.NodeSelector)) {
		value := s.NodeSelector[key]
		if own, ok := pod.Spec.NodeSelector[key]; ok && own != value {
			return fmt.Errorf("conflict: runtimeClass.scheduling.nodeSelector[%s] = %s; pod.spec.nodeSelector[%s] = %s", key, value, key, own)
		}
		if pod.Spec.NodeSelector == nil {
			pod.Spec.NodeSelector = map[string]string{}
		}
		pod.Spec.NodeSelector[key] = value
	}
	for _, t := range s.Tolerations {
		if !slices.ContainsFunc(pod.Spec.Tolerations, func(own corev1.Toleration) bool { return apiequality.Semantic.DeepEqual(own, t) }) {
			pod.Spec.Tolerations = append(pod.Spec.Tolerations, t)
		}
	}
	return nil
}

// charge sets the overhead of a class where the pod says nothing.
func charge(pod *corev1.Pod, o *nodev1.Overhead) {
	if o != nil && len(pod.Spec.Overhead) == 0 {
		pod.Spec.Overhead = o.DeepCopy().PodFixed
	}
}

// check refuses an overhead that is not the class's.
func check(pod *corev1.Pod, class *nodev1.RuntimeClass) error {
	switch {
	case class != nil && class.Overhead != nil:
		if !apiequality.Semantic.DeepEqual(pod.Spec.Overhead, class.Overhead.PodFixed) {
			return errors.New("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
		}
	case len(pod.Spec.Overhead) > 0:
		return errors.New("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
	}
	return nil
}
