package noderestriction

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apiserver/pkg/admission"
	kubeletapis "k8s.io/kubelet/pkg/apis"
)

// nodeObject allows a node to register and describe itself, without the labels and
// taints that would steer other people's pods to it or away from it.
func nodeObject(node string, a admission.Attributes) error {
	if a.GetName() != node {
		return fmt.Errorf("node %q is not allowed to modify node %q", node, a.GetName())
	}
	switch a.GetOperation() {
	case admission.Create:
		obj, ok := a.GetObject().(*corev1.Node)
		if !ok {
			return unexpected(a.GetObject())
		}
		if obj.Spec.ConfigSource != nil {
			return fmt.Errorf("node %q is not allowed to create pods with a non-nil configSource", node)
		}
		if bad := forbiddenLabels(obj.Labels, nil); bad != "" {
			return fmt.Errorf("node %q is not allowed to set the following labels: %s", node, bad)
		}
	case admission.Update:
		obj, ok := a.GetObject().(*corev1.Node)
		if !ok {
			return unexpected(a.GetObject())
		}
		old, ok := a.GetOldObject().(*corev1.Node)
		if !ok {
			return unexpected(a.GetOldObject())
		}
		return nodeUpdate(node, obj, old)
	}
	return nil
}

func nodeUpdate(node string, obj, old *corev1.Node) error {
	if obj.Spec.ConfigSource != nil && !equality.Semantic.DeepEqual(obj.Spec.ConfigSource, old.Spec.ConfigSource) {
		return fmt.Errorf("node %q is not allowed to update configSource to a new non-nil configSource", node)
	}
	if !equality.Semantic.DeepEqual(obj.Spec.Taints, old.Spec.Taints) {
		return fmt.Errorf("node %q is not allowed to modify taints", node)
	}
	if !equality.Semantic.DeepEqual(obj.OwnerReferences, old.OwnerReferences) {
		return fmt.Errorf("node %q is not allowed to modify ownerReferences", node)
	}
	if bad := forbiddenLabels(obj.Labels, old.Labels); bad != "" {
		return fmt.Errorf("is not allowed to modify labels: %s", bad)
	}
	return nil
}

// forbiddenLabels lists the labels that differ between a and b and that a node may
// not touch: those of node-restriction.kubernetes.io, and of *.kubernetes.io and
// *.k8s.io all that are not set by nodes themselves.
func forbiddenLabels(a, b map[string]string) string {
	var bad []string
	check := func(key, value string, other map[string]string) {
		if v, ok := other[key]; (!ok || v != value) && forbidden(key) && !slices.Contains(bad, key) {
			bad = append(bad, key)
		}
	}
	for k, v := range a {
		check(k, v, b)
	}
	for k, v := range b {
		check(k, v, a)
	}
	slices.Sort(bad)
	return strings.Join(bad, ", ")
}

func forbidden(label string) bool {
	domain, _, ok := strings.Cut(label, "/")
	if !ok {
		return false
	}
	in := func(suffix string) bool { return domain == suffix || strings.HasSuffix(domain, "."+suffix) }
	if in(corev1.LabelNamespaceNodeRestriction) {
		return true
	}
	return (in("kubernetes.io") || in("k8s.io")) && !kubeletapis.IsKubeletLabel(label)
}
