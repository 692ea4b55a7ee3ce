// Package clusterrolebinding is the storage of ClusterRoleBinding: who gets a
// cluster role in the whole cluster.
package clusterrolebinding

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/rbac"
	"laterna.dev/laterna/internal/registry/resource"
)

// NewStorage returns the storage of cluster role bindings by path.
func NewStorage(env resource.Env, access rbac.Access) (map[string]rest.Storage, error) {
	st, err := rbac.NewStorage(resource.Definition[*rbacv1.ClusterRoleBinding]{
		GroupVersion: rbacv1.SchemeGroupVersion,
		Plural:       "clusterrolebindings",
		Singular:     "clusterrolebinding",
		Namespaced:   false,
		New:          func() *rbacv1.ClusterRoleBinding { return &rbacv1.ClusterRoleBinding{} },
		NewList:      func() runtime.Object { return &rbacv1.ClusterRoleBindingList{} },
		Columns: rbac.BindingColumns(func(b *rbacv1.ClusterRoleBinding) (rbacv1.RoleRef, []rbacv1.Subject) {
			return b.RoleRef, b.Subjects
		}),
		Rules: resource.Rules[*rbacv1.ClusterRoleBinding]{
			ValidName: rbac.ValidName,
			Validate:  validate,
			ValidateUpdate: func(ctx context.Context, obj, old *rbacv1.ClusterRoleBinding) field.ErrorList {
				return append(validate(ctx, obj), rbac.ValidateSameRole(obj.RoleRef, old.RoleRef)...)
			},
			AllowCreateOnUpdate: true,
		},
	}, env, access.View, func(ctx context.Context, obj, _ *rbacv1.ClusterRoleBinding) error {
		return access.CheckBinding(ctx, "clusterrolebindings", obj.Name, "", obj.RoleRef)
	})
	if err != nil {
		return nil, err
	}
	return map[string]rest.Storage{"clusterrolebindings": st}, nil
}

func validate(_ context.Context, obj *rbacv1.ClusterRoleBinding) field.ErrorList {
	return rbac.ValidateBinding(obj.RoleRef, obj.Subjects, false, "ClusterRole")
}

// RegisterDefaults tells s how to fill in what a ClusterRoleBinding may leave out.
func RegisterDefaults(s *runtime.Scheme) error {
	return resource.AddDefaults(s, func(l *rbacv1.ClusterRoleBindingList) []rbacv1.ClusterRoleBinding { return l.Items }, func(b *rbacv1.ClusterRoleBinding) { rbac.DefaultBinding(&b.RoleRef, b.Subjects) })
}
