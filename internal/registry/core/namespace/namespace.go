// Package namespace owns the Namespace kind of core/v1: its life from Active over
// Terminating to removal, validation, table and storage with the status and
// finalize subresources. Emptying a terminating namespace lives in
// internal/controller/namespace; refusing new objects in it, and the deletion of
// the system namespaces, in the NamespaceLifecycle admission plugin.
package namespace

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/resource"
)

// NewStorage returns the storage of namespaces and their subresources by path.
func NewStorage(env resource.Env) (map[string]rest.Storage, error) {
	store, err := resource.New(Definition(), env)
	if err != nil {
		return nil, err
	}
	store.ShouldDeleteDuringUpdate = shouldDelete
	return map[string]rest.Storage{
		"namespaces":          &namespaceStorage{store: store},
		"namespaces/status":   store.Subresource(statusRules()),
		"namespaces/finalize": &finalizeStorage{part: store.Subresource(finalizeRules())},
	}, nil
}

// Definition describes namespaces without their subresources.
func Definition() resource.Definition[*corev1.Namespace] {
	return resource.Definition[*corev1.Namespace]{
		GroupVersion:  corev1.SchemeGroupVersion,
		Plural:        "namespaces",
		Singular:      "namespace",
		ShortNames:    []string{"ns"},
		New:           func() *corev1.Namespace { return &corev1.Namespace{} },
		NewList:       func() runtime.Object { return &corev1.NamespaceList{} },
		Default:       setDefaults,
		Rules:         rules(),
		Columns:       columns(),
		Fields:        selectable,
		ReturnDeleted: true,
	}
}

// selectable holds name besides metadata.name because upstream has it.
func selectable(n *corev1.Namespace) fields.Set {
	return fields.Set{"status.phase": string(n.Status.Phase), "name": n.Name}
}

// setDefaults gives every named namespace the label kubernetes.io/metadata.name
// (KEP-2161); clients can neither remove nor change it.
func setDefaults(n *corev1.Namespace) {
	if n.Name == "" {
		return
	}
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	n.Labels[corev1.LabelMetadataName] = n.Name
}

func rules() resource.Rules[*corev1.Namespace] {
	return resource.Rules[*corev1.Namespace]{
		ValidName:     apivalidation.ValidateNamespaceName,
		PrepareCreate: func(_ context.Context, n *corev1.Namespace) { prepareCreate(n) },
		PrepareUpdate: func(_ context.Context, n, old *corev1.Namespace) {
			n.Spec.Finalizers = old.Spec.Finalizers
			n.Status = old.Status
		},
		Validate: func(_ context.Context, n *corev1.Namespace) field.ErrorList {
			return validateFinalizers(n.Spec.Finalizers)
		},
		Reset: []string{"status", "spec.finalizers"},
	}
}

// prepareCreate makes the namespace Active and held by the namespace controller.
// A generated name is known only here, so its label is set again.
func prepareCreate(n *corev1.Namespace) {
	setDefaults(n)
	n.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
	if !slices.Contains(n.Spec.Finalizers, corev1.FinalizerKubernetes) {
		n.Spec.Finalizers = append(n.Spec.Finalizers, corev1.FinalizerKubernetes)
	}
}

func statusRules() resource.Rules[*corev1.Namespace] {
	return resource.Rules[*corev1.Namespace]{
		PrepareUpdate: func(_ context.Context, n, old *corev1.Namespace) { n.Spec = old.Spec },
		ValidateUpdate: func(_ context.Context, n, _ *corev1.Namespace) field.ErrorList {
			return validatePhase(n)
		},
		Reset: []string{"spec"},
	}
}

func finalizeRules() resource.Rules[*corev1.Namespace] {
	return resource.Rules[*corev1.Namespace]{
		PrepareUpdate: func(_ context.Context, n, old *corev1.Namespace) { n.Status = old.Status },
		ValidateUpdate: func(_ context.Context, n, _ *corev1.Namespace) field.ErrorList {
			return validateFinalizers(n.Spec.Finalizers)
		},
		Reset: []string{"status"},
	}
}

// shouldDelete removes a terminating namespace with the update that takes away
// its last finalizer, be it of metadata or of spec.
func shouldDelete(ctx context.Context, key string, obj, existing runtime.Object) bool {
	n, ok := obj.(*corev1.Namespace)
	return ok && len(n.Spec.Finalizers) == 0 && genericregistry.ShouldDeleteDuringUpdate(ctx, key, obj, existing)
}

func columns() resource.Columns[*corev1.Namespace] {
	return resource.Columns[*corev1.Namespace]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Status", Type: "string", Description: "The status of the namespace"},
			resource.AgeColumn(),
		},
		Row: func(n *corev1.Namespace) []any {
			return []any{n.Name, string(n.Status.Phase), resource.Age(n)}
		},
	}
}
