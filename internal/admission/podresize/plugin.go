// Package podresize refuses to let a pod ask for more than its whole node has: the
// PodResizeValidator admission of Kubernetes. What a resize may change is checked in
// internal/registry/core/pod; whether the node has room for it now is for the node to say.
package podresize

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-helpers/resource"
)

// Plugin admits resizes of pods that have a node. Its methods may be called concurrently.
type Plugin struct {
	*admission.Handler
	client kubernetes.Interface
}

var _ admission.ValidationInterface = &Plugin{}

// New returns the plugin, which reads the node of a pod with client.
func New(client kubernetes.Interface) *Plugin {
	return &Plugin{admission.NewHandler(admission.Update), client}
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "resize" || a.GetOperation() != admission.Update {
		return nil
	}
	pod, ok := a.GetObject().(*corev1.Pod)
	old, isPod := a.GetOldObject().(*corev1.Pod)
	if !ok || !isPod || pod.Spec.NodeName == "" || pod.Generation == old.Generation {
		return nil
	}
	node, err := p.client.CoreV1().Nodes().Get(ctx, pod.Spec.NodeName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return admission.NewForbidden(a, fmt.Errorf("node %q not found", pod.Spec.NodeName))
	case err != nil:
		return admission.NewForbidden(a, fmt.Errorf("failed to get node %q: %w", pod.Spec.NodeName, err))
	}
	if short := lacking(pod, node.Status.Allocatable); short != "" {
		return withCause(admission.NewForbidden(a, errors.New("node didn't have enough allocatable resources: "+short)), short)
	}
	if os := node.Labels[corev1.LabelOSStable]; os != "linux" {
		return admission.NewForbidden(a, fmt.Errorf("pod resize is only supported on linux nodes, node %q is %q", node.Name, os))
	}
	return nil
}

// lacking is what a node has too little of for a pod even if it ran alone, "" when it
// has enough.
func lacking(pod *corev1.Pod, allocatable corev1.ResourceList) string {
	wanted := resource.PodRequests(pod, resource.PodResourcesOptions{})
	var short []string
	if cpu, has := wanted.Cpu().MilliValue(), allocatable.Cpu().MilliValue(); cpu > has {
		short = append(short, fmt.Sprintf("cpu, requested: %d, allocatable: %d", cpu, has))
	}
	if memory, has := wanted.Memory().Value(), allocatable.Memory().Value(); memory > has {
		short = append(short, fmt.Sprintf("memory, requested: %d, allocatable: %d", memory, has))
	}
	return strings.Join(short, "; ")
}

// withCause says in a form for programs what a refusal is about.
func withCause(err error, message string) error {
	var status *apierrors.StatusError
	if errors.As(err, &status) && status.ErrStatus.Details != nil {
		status.ErrStatus.Details.Causes = append(status.ErrStatus.Details.Causes, metav1.StatusCause{Type: "NodeCapacity", Message: message})
	}
	return err
}
