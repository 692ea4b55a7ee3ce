// Package node owns the Node kind of core/v1: defaults, validation, table and
// storage with the status subresource. Registering and reporting a node lives in
// internal/node, judging its heartbeats in internal/controller/nodelifecycle.
package node

import (
	"context"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes nodes without their proxy subresource.
func Definition() resource.Definition[*corev1.Node] {
	return resource.Definition[*corev1.Node]{
		GroupVersion: corev1.SchemeGroupVersion,
		Plural:       "nodes",
		Singular:     "node",
		ShortNames:   []string{"no"},
		New:          func() *corev1.Node { return &corev1.Node{} },
		NewList:      func() runtime.Object { return &corev1.NodeList{} },
		Default:      setDefaults,
		Rules:        rules(),
		Status:       ptr.To(statusRules()),
		Columns:      columns(),
		Fields: func(n *corev1.Node) fields.Set {
			return fields.Set{"spec.unschedulable": strconv.FormatBool(n.Spec.Unschedulable)}
		},
	}
}

// setDefaults makes allocatable follow capacity where it is not given, and podCIDR and
// podCIDRs follow each other.
func setDefaults(n *corev1.Node) {
	if n.Status.Allocatable == nil && n.Status.Capacity != nil {
		n.Status.Allocatable = n.Status.Capacity.DeepCopy()
	}
	switch {
	case n.Spec.PodCIDR != "" && (len(n.Spec.PodCIDRs) == 0 || n.Spec.PodCIDRs[0] != n.Spec.PodCIDR):
		n.Spec.PodCIDRs = []string{n.Spec.PodCIDR}
	case n.Spec.PodCIDR == "" && len(n.Spec.PodCIDRs) > 0:
		n.Spec.PodCIDR = n.Spec.PodCIDRs[0]
	}
}

func rules() resource.Rules[*corev1.Node] {
	return resource.Rules[*corev1.Node]{
		// A node may bring its status along when it is created.
		PrepareCreate: func(_ context.Context, n *corev1.Node) { n.Spec.ConfigSource = nil },
		PrepareUpdate: func(_ context.Context, n, old *corev1.Node) {
			n.Status = old.Status
			n.Spec.ConfigSource = old.Spec.ConfigSource
		},
		Validate: func(_ context.Context, n *corev1.Node) field.ErrorList { return validate(n) },
		ValidateUpdate: func(_ context.Context, n, old *corev1.Node) field.ErrorList {
			return validateUpdate(n, old)
		},
		WarnCreate: func(_ context.Context, n *corev1.Node) []string { return warnings(n) },
		WarnUpdate: func(_ context.Context, n, _ *corev1.Node) []string { return warnings(n) },
		Reset:      []string{"status"},
	}
}

func statusRules() resource.Rules[*corev1.Node] {
	return resource.Rules[*corev1.Node]{
		PrepareUpdate: func(_ context.Context, n, old *corev1.Node) {
			n.Spec = old.Spec
			// Dynamic kubelet configuration is gone; nothing may report it.
			n.Status.Config = nil
		},
		ValidateUpdate: func(_ context.Context, n, old *corev1.Node) field.ErrorList {
			return append(validateUpdate(n, old), validateAddresses(n.Status.Addresses)...)
		},
		Reset: []string{"spec"},
	}
}

func validateAddresses(addresses []corev1.NodeAddress) field.ErrorList {
	var errs field.ErrorList
	seen := map[corev1.NodeAddress]bool{}
	for i, a := range addresses {
		if seen[a] {
			errs = append(errs, field.Duplicate(field.NewPath("status", "addresses").Index(i), a))
		}
		seen[a] = true
	}
	return errs
}

// warnings names fields that mean nothing any more.
func warnings(n *corev1.Node) []string {
	if n.Spec.DoNotUseExternalID == "" {
		return nil
	}
	return []string{"spec.externalID: this field is deprecated, and is unused by Kubernetes"}
}
