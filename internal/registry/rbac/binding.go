package rbac

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/endpoints/request"

	"laterna.dev/laterna/internal/registry/resource"
)

// RoleBinding is who gets a role in one namespace.
func RoleBinding() Guarded[*rbacv1.RoleBinding] {
	return Guarded[*rbacv1.RoleBinding]{
		Definition: resource.Definition[*rbacv1.RoleBinding]{
			GroupVersion: rbacv1.SchemeGroupVersion,
			Plural:       "rolebindings",
			Singular:     "rolebinding",
			Namespaced:   true,
			New:          func() *rbacv1.RoleBinding { return &rbacv1.RoleBinding{} },
			NewList:      func() runtime.Object { return &rbacv1.RoleBindingList{} },
			Default:      func(b *rbacv1.RoleBinding) { DefaultBinding(&b.RoleRef, b.Subjects) },
			Columns: bindingColumns(func(b *rbacv1.RoleBinding) (rbacv1.RoleRef, []rbacv1.Subject) {
				return b.RoleRef, b.Subjects
			}),
			Rules: rules(func(obj, old *rbacv1.RoleBinding) field.ErrorList {
				errs := ValidateBinding(obj.RoleRef, obj.Subjects, true, "Role", "ClusterRole")
				if old != nil {
					errs = append(errs, ValidateSameRole(obj.RoleRef, old.RoleRef)...)
				}
				return errs
			}),
		},
		Check: func(ctx context.Context, a Access, obj, _ *rbacv1.RoleBinding) error {
			return a.CheckBinding(ctx, "rolebindings", obj.Name, request.NamespaceValue(ctx), obj.RoleRef)
		},
	}
}

// ClusterRoleBinding is who gets a cluster role in the whole cluster.
func ClusterRoleBinding() Guarded[*rbacv1.ClusterRoleBinding] {
	return Guarded[*rbacv1.ClusterRoleBinding]{
		Definition: resource.Definition[*rbacv1.ClusterRoleBinding]{
			GroupVersion: rbacv1.SchemeGroupVersion,
			Plural:       "clusterrolebindings",
			Singular:     "clusterrolebinding",
			New:          func() *rbacv1.ClusterRoleBinding { return &rbacv1.ClusterRoleBinding{} },
			NewList:      func() runtime.Object { return &rbacv1.ClusterRoleBindingList{} },
			Default:      func(b *rbacv1.ClusterRoleBinding) { DefaultBinding(&b.RoleRef, b.Subjects) },
			Columns: bindingColumns(func(b *rbacv1.ClusterRoleBinding) (rbacv1.RoleRef, []rbacv1.Subject) {
				return b.RoleRef, b.Subjects
			}),
			Rules: rules(func(obj, old *rbacv1.ClusterRoleBinding) field.ErrorList {
				errs := ValidateBinding(obj.RoleRef, obj.Subjects, false, "ClusterRole")
				if old != nil {
					errs = append(errs, ValidateSameRole(obj.RoleRef, old.RoleRef)...)
				}
				return errs
			}),
		},
		Check: func(ctx context.Context, a Access, obj, _ *rbacv1.ClusterRoleBinding) error {
			return a.CheckBinding(ctx, "clusterrolebindings", obj.Name, "", obj.RoleRef)
		},
	}
}
