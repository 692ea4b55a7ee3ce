// Package role is the storage of Role: what may be done in one namespace.
package role

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/rbac"
	"laterna.dev/laterna/internal/registry/resource"
)

// NewStorage returns the storage of roles by path.
func NewStorage(env resource.Env, access rbac.Access) (map[string]rest.Storage, error) {
	st, err := rbac.NewStorage(resource.Definition[*rbacv1.Role]{
		GroupVersion: rbacv1.SchemeGroupVersion,
		Plural:       "roles",
		Singular:     "role",
		Namespaced:   true,
		New:          func() *rbacv1.Role { return &rbacv1.Role{} },
		NewList:      func() runtime.Object { return &rbacv1.RoleList{} },
		Columns:      rbac.RoleColumns[*rbacv1.Role](),
		Rules: resource.Rules[*rbacv1.Role]{
			ValidName:           rbac.ValidName,
			Validate:            validate,
			ValidateUpdate:      func(ctx context.Context, obj, _ *rbacv1.Role) field.ErrorList { return validate(ctx, obj) },
			AllowCreateOnUpdate: true,
		},
	}, env, access.View, func(ctx context.Context, obj, _ *rbacv1.Role) error {
		return access.CheckRole(ctx, "roles", obj.Name, obj.Rules)
	})
	if err != nil {
		return nil, err
	}
	return map[string]rest.Storage{"roles": st}, nil
}

func validate(_ context.Context, obj *rbacv1.Role) field.ErrorList {
	return rbac.ValidateRules(obj.Rules, true)
}
