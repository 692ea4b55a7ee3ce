package rbac

import (
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/registry/resource"
)

// roleColumns are the columns of roles: name and time of creation.
func roleColumns[T resource.Object]() resource.Columns[T] {
	return resource.Columns[T]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Created At", Type: "date", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"]},
		},
		Row: func(obj T) []any {
			return []any{obj.GetName(), obj.GetCreationTimestamp().UTC().Format(time.RFC3339)}
		},
	}
}

// bindingColumns are the columns of bindings; read returns role and subjects.
func bindingColumns[T resource.Object](read func(obj T) (rbacv1.RoleRef, []rbacv1.Subject)) resource.Columns[T] {
	return resource.Columns[T]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Role", Type: "string", Description: rbacv1.RoleBinding{}.SwaggerDoc()["roleRef"]},
			resource.AgeColumn(),
			{Name: "Users", Type: "string", Priority: 1, Description: "Users in the roleBinding"},
			{Name: "Groups", Type: "string", Priority: 1, Description: "Groups in the roleBinding"},
			{Name: "ServiceAccounts", Type: "string", Priority: 1, Description: "ServiceAccounts in the roleBinding"},
		},
		Row: func(obj T) []any {
			ref, subjects := read(obj)
			users, groups, accounts := subjectNames(subjects)
			return []any{obj.GetName(), ref.Kind + "/" + ref.Name, resource.Age(obj), users, groups, accounts}
		},
	}
}

func subjectNames(subjects []rbacv1.Subject) (users, groups, accounts string) {
	var names [3][]string
	for _, s := range subjects {
		switch s.Kind {
		case rbacv1.UserKind:
			names[0] = append(names[0], s.Name)
		case rbacv1.GroupKind:
			names[1] = append(names[1], s.Name)
		case rbacv1.ServiceAccountKind:
			names[2] = append(names[2], s.Namespace+"/"+s.Name)
		}
	}
	return strings.Join(names[0], ", "), strings.Join(names[1], ", "), strings.Join(names[2], ", ")
}
