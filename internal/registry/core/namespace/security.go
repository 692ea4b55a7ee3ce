package namespace

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// securityLabels are those of Pod Security that ask for a check of pods.
var securityLabels = []string{"pod-security.kubernetes.io/audit", "pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/warn"}

// unchecked is the level at which every pod is admitted.
const unchecked = "privileged"

// SecurityLabels returns, as "label=level", what a namespace asks of Pod Security that
// is not done.
func SecurityLabels(labels map[string]string) []string {
	var all []string
	for _, key := range securityLabels {
		if level, ok := labels[key]; ok && level != unchecked {
			all = append(all, key+"="+level)
		}
	}
	return all
}

// warnings says which new labels are not honoured. old is nil for a new namespace.
func warnings(_ context.Context, n, old *corev1.Namespace) []string {
	var known, all []string
	if old != nil {
		known = SecurityLabels(old.Labels)
	}
	for _, l := range SecurityLabels(n.Labels) {
		if !slices.Contains(known, l) {
			all = append(all, field.NewPath("metadata", "labels").String()+": "+l+" is not honoured by Laterna: no pod is refused, warned of or noted for what it may do")
		}
	}
	return all
}
