// Package systemnamespaces names the namespaces that every system has. The API server
// makes and keeps them (internal/registry/systemobjects); controllers promise readiness
// for what they put into them.
package systemnamespaces

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Names lists the system namespaces. The caller owns the result.
func Names() []string {
	return []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease}
}
