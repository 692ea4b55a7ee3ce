// Package topologylabels tells pods where they run: the zone and the region of a
// node become labels of each pod that is bound to it (KEP-4742), where the Downward
// API reads them.
//
// Writing the labels of a binding into the pod is the pod storage's, reading them in
// a container package projection's.
package topologylabels

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes"
)

// keys are the labels that are copied.
var keys = []string{corev1.LabelTopologyZone, corev1.LabelTopologyRegion}

// Plugin puts the topology of the node on bindings, and on pods that are created
// with a node. What the node says replaces what the pod or the binding said; a label
// that the node lacks is left alone.
type Plugin struct {
	*admission.Handler
	client kubernetes.Interface
}

var _ admission.MutationInterface = &Plugin{}

// New returns the plugin. It reads the node with client at every binding, so that a
// label counts as soon as its write is answered.
func New(client kubernetes.Interface) *Plugin {
	return &Plugin{admission.NewHandler(admission.Create), client}
}

// Admit implements admission.MutationInterface. A node that does not exist has no
// topology; that is no error here.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	node, labels, err := target(a)
	if err != nil || node == "" {
		return err
	}
	n, err := p.client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return admission.NewForbidden(a, fmt.Errorf("reading the topology of node %s: %w", node, err))
	}
	for _, key := range keys {
		value, ok := n.Labels[key]
		if !ok {
			continue
		}
		if *labels == nil {
			*labels = map[string]string{}
		}
		(*labels)[key] = value
	}
	return nil
}

// target returns the node that a request gives a pod to, and the labels to write to;
// "" when it gives none.
func target(a admission.Attributes) (node string, labels *map[string]string, err error) {
	if a.GetResource().GroupResource() != corev1.Resource("pods") {
		return "", nil, nil
	}
	switch a.GetSubresource() {
	case "":
		pod, ok := a.GetObject().(*corev1.Pod)
		if !ok {
			return "", nil, fmt.Errorf("expected Pod but got %T", a.GetObject())
		}
		return pod.Spec.NodeName, &pod.Labels, nil
	case "binding":
		b, ok := a.GetObject().(*corev1.Binding)
		if !ok {
			return "", nil, fmt.Errorf("expected Binding but got %T", a.GetObject())
		}
		if b.Target.Kind != "" && b.Target.Kind != "Node" {
			return "", nil, nil
		}
		return b.Target.Name, &b.Labels, nil
	}
	return "", nil, nil
}
