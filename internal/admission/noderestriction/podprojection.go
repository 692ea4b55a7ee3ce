package noderestriction

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/api/projection/v1alpha1"
)

// podProjection allows a node to write what pods of its own show. Spec and owner of an
// object cannot change: a writer of an object that names the node needs no further look
// at the pod, which keeps the many updates cheap.
func (p *Plugin) podProjection(ctx context.Context, node string, a admission.Attributes) error {
	if a.GetSubresource() != "" {
		return fmt.Errorf("unexpected subresource %q of a pod projection", a.GetSubresource())
	}
	switch a.GetOperation() {
	case admission.Create:
		return p.newPodProjection(ctx, node, a)
	case admission.Update:
		return podProjectionUpdate(node, a)
	case admission.Delete:
		// One that an earlier pod of the name left on another node may go, too.
		pod, err := p.readPod(ctx, a.GetNamespace(), a.GetName())
		if err != nil {
			return err
		}
		if pod.Spec.NodeName != node {
			return fmt.Errorf("node %q can only delete projections of pods with spec.nodeName set to itself", node)
		}
		return nil
	}
	return fmt.Errorf("unexpected operation %q", a.GetOperation())
}

func (p *Plugin) newPodProjection(ctx context.Context, node string, a admission.Attributes) error {
	obj, ok := a.GetObject().(*v1alpha1.PodProjection)
	if !ok {
		return unexpected(a.GetObject())
	}
	if obj.Spec.NodeName != node {
		return fmt.Errorf("node %q can only create pod projections with spec.nodeName set to itself", node)
	}
	if len(obj.OwnerReferences) != 1 {
		return errors.New("a pod projection must be owned by its pod alone")
	}
	if err := sameFinalizers(node, obj.Finalizers, nil); err != nil {
		return err
	}
	owner := obj.OwnerReferences[0]
	if ptr.Deref(owner.BlockOwnerDeletion, false) {
		return fmt.Errorf("node %q must not set blockOwnerDeletion on an owner reference", node)
	}
	pod, err := p.readPod(ctx, a.GetNamespace(), obj.Name)
	if err != nil {
		return err
	}
	if pod.Spec.NodeName != node {
		return fmt.Errorf("node %q can only create projections of pods with spec.nodeName set to itself", node)
	}
	if owner.UID != pod.UID {
		return fmt.Errorf("the UID in the owner reference (%s) does not match the UID in record. The pod might have been deleted and then recreated", owner.UID)
	}
	return nil
}

func podProjectionUpdate(node string, a admission.Attributes) error {
	obj, ok := a.GetObject().(*v1alpha1.PodProjection)
	if !ok {
		return unexpected(a.GetObject())
	}
	old, ok := a.GetOldObject().(*v1alpha1.PodProjection)
	if !ok {
		return unexpected(a.GetOldObject())
	}
	if old.Spec.NodeName != node {
		return fmt.Errorf("node %q can only update pod projections with spec.nodeName set to itself", node)
	}
	return sameFinalizers(node, obj.Finalizers, old.Finalizers)
}

// sameFinalizers keeps a node from holding up the deletion of what it wrote, and of the
// namespace around it, and from letting go of what somebody else holds.
func sameFinalizers(node string, finalizers, old []string) error {
	if !slices.Equal(finalizers, old) {
		return fmt.Errorf("node %q is not allowed to modify finalizers of pod projections", node)
	}
	return nil
}
