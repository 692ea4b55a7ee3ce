package noderestriction

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/podfields"
)

// pod allows a node to create mirror pods bound to itself and to delete pods bound
// to itself.
func (p *Plugin) pod(ctx context.Context, node string, a admission.Attributes) error {
	switch a.GetOperation() {
	case admission.Create:
		return p.mirrorPod(ctx, node, a)
	case admission.Delete:
		pod, err := p.readPod(ctx, a.GetNamespace(), a.GetName())
		if err != nil {
			return err
		}
		if pod.Spec.NodeName != node {
			return fmt.Errorf("node %q can only delete pods with spec.nodeName set to itself", node)
		}
		return nil
	}
	return fmt.Errorf("unexpected operation %q, node %q can only create and delete mirror pods", a.GetOperation(), node)
}

func (p *Plugin) mirrorPod(ctx context.Context, node string, a admission.Attributes) error {
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok {
		return unexpected(a.GetObject())
	}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; !mirror {
		return fmt.Errorf("pod does not have %q annotation, node %q can only create mirror pods", corev1.MirrorPodAnnotationKey, node)
	}
	if pod.Spec.NodeName != node {
		return fmt.Errorf("node %q can only create pods with spec.nodeName set to itself", node)
	}
	if err := p.owner(ctx, node, pod.OwnerReferences); err != nil {
		return err
	}
	if kind := referenced(pod); kind != "" {
		return fmt.Errorf("node %q can not create pods that reference %s", node, kind)
	}
	return nil
}

// owner requires that the node alone owns its mirror pod.
func (p *Plugin) owner(ctx context.Context, node string, owners []metav1.OwnerReference) error {
	if len(owners) > 1 {
		return fmt.Errorf("node %q can only create pods with a single owner reference set to itself", node)
	}
	if len(owners) == 0 || owners[0].APIVersion != "v1" || owners[0].Kind != "Node" || owners[0].Name != node {
		return fmt.Errorf("node %q can only create pods with an owner reference set to itself", node)
	}
	if !ptr.Deref(owners[0].Controller, false) {
		return fmt.Errorf("node %q can only create pods with a controller owner reference set to itself", node)
	}
	if ptr.Deref(owners[0].BlockOwnerDeletion, false) {
		return fmt.Errorf("node %q must not set blockOwnerDeletion on an owner reference", node)
	}
	stored, err := p.config.Client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return err
	}
	if err != nil {
		return fmt.Errorf("error looking up node %s to verify uid: %w", node, err)
	}
	if owners[0].UID != stored.UID {
		return fmt.Errorf("node %s UID mismatch: expected %s got %s", node, owners[0].UID, stored.UID)
	}
	return nil
}

// referenced returns the first kind of API object that a pod refers to, which a
// mirror pod may not: it would give its node access to them.
func referenced(pod *corev1.Pod) string {
	if pod.Spec.ServiceAccountName != "" || pod.Spec.DeprecatedServiceAccount != "" {
		return "a service account"
	}
	for r := range podfields.References(&pod.Spec) {
		return string(r.Kind)
	}
	if slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return !isPlain(v.VolumeSource) }) {
		return string(podfields.Secrets)
	}
	return ""
}

// isPlain tells whether a volume is of a kind that never takes anything from the API. All
// others are taken for ones that may hold secrets.
func isPlain(v corev1.VolumeSource) bool {
	return v.EmptyDir != nil || v.HostPath != nil || v.DownwardAPI != nil || v.Projected != nil ||
		v.Image != nil || v.GitRepo != nil || v.NFS != nil
}

// podStatus allows a node to report on pods bound to itself, and nothing else with
// the report.
func podStatus(node string, a admission.Attributes) error {
	if a.GetOperation() != admission.Update {
		return fmt.Errorf("unexpected operation %q", a.GetOperation())
	}
	old, ok := a.GetOldObject().(*corev1.Pod)
	if !ok {
		return unexpected(a.GetOldObject())
	}
	if old.Spec.NodeName != node {
		return fmt.Errorf("node %q can only update pod status for pods with spec.nodeName set to itself", node)
	}
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok {
		return unexpected(a.GetObject())
	}
	if !labels.Equals(old.Labels, pod.Labels) {
		return fmt.Errorf("node %q cannot update labels through pod status", node)
	}
	if !equality.Semantic.DeepEqual(old.Status.ResourceClaimStatuses, pod.Status.ResourceClaimStatuses) {
		return fmt.Errorf("node %q cannot update resource claim statues", node)
	}
	if !equality.Semantic.DeepEqual(old.Status.ExtendedResourceClaimStatus, pod.Status.ExtendedResourceClaimStatus) {
		return fmt.Errorf("node %q cannot update extended resource claim status", node)
	}
	return nil
}

func (p *Plugin) eviction(ctx context.Context, node string, a admission.Attributes) error {
	if a.GetOperation() != admission.Create {
		return fmt.Errorf("unexpected operation %s", a.GetOperation())
	}
	eviction, ok := a.GetObject().(*policyv1.Eviction)
	if !ok {
		return unexpected(a.GetObject())
	}
	name := a.GetName()
	if name == "" {
		name = eviction.Name
	}
	if name == "" {
		return errors.New("could not determine pod from request data")
	}
	pod, err := p.readPod(ctx, a.GetNamespace(), name)
	if err != nil {
		return err
	}
	if pod.Spec.NodeName != node {
		return fmt.Errorf("node %s can only evict pods with spec.nodeName set to itself", node)
	}
	return nil
}
