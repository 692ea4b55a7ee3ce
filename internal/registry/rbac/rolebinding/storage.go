// Package rolebinding is the storage of RoleBinding: who gets a role
// in one namespace.
package rolebinding

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/rbac"
	"laterna.dev/laterna/internal/registry/resource"
)

// NewStorage returns the storage of role bindings by path.
func NewStorage(env resource.Env, access rbac.Access) (map[string]rest.Storage, error) {
	st, err := rbac.NewStorage(resource.Definition[*rbacv1.RoleBinding]{
		GroupVersion: rbacv1.SchemeGroupVersion,
		Plural:       "rolebindings",
		Singular:     "rolebinding",
		Namespaced:   true,
		New:          func() *rbacv1.RoleBinding { return &rbacv1.RoleBinding{} },
		NewList:      func() runtime.Object { return &rbacv1.RoleBindingList{} },
		Columns: rbac.BindingColumns(func(b *rbacv1.RoleBinding) (rbacv1.RoleRef, []rbacv1.Subject) {
			return b.RoleRef, b.Subjects
		}),
		Rules: resource.Rules[*rbacv1.RoleBinding]{
			ValidName: rbac.ValidName,
			Validate:  validate,
			ValidateUpdate: func(ctx context.Context, obj, old *rbacv1.RoleBinding) field.ErrorList {
				return append(validate(ctx, obj), rbac.ValidateSameRole(obj.RoleRef, old.RoleRef)...)
			},
			AllowCreateOnUpdate: true,
		},
	}, env, access.View, func(ctx context.Context, obj, _ *rbacv1.RoleBinding) error {
		return access.CheckBinding(ctx, "rolebindings", obj.Name, request.NamespaceValue(ctx), obj.RoleRef)
	})
	if err != nil {
		return nil, err
	}
	return map[string]rest.Storage{"rolebindings": st}, nil
}

func validate(_ context.Context, obj *rbacv1.RoleBinding) field.ErrorList {
	return rbac.ValidateBinding(obj.RoleRef, obj.Subjects, true, "Role", "ClusterRole")
}

// RegisterDefaults tells s how to fill in what a RoleBinding may leave out.
func RegisterDefaults(s *runtime.Scheme) error {
	return resource.AddDefaults(s, func(l *rbacv1.RoleBindingList) []rbacv1.RoleBinding { return l.Items }, func(b *rbacv1.RoleBinding) { rbac.DefaultBinding(&b.RoleRef, b.Subjects) })
}
