// Package rbac owns the kinds Role, RoleBinding, ClusterRole and ClusterRoleBinding
// of rbac.authorization.k8s.io/v1: defaults, validation, tables, and one storage for
// all four that lets nobody grant what they do not hold.
//
// The default roles live in bootstrap. How roles decide requests lives in
// internal/authz/rbac, which this package knows only by the interfaces RuleResolver
// and View.
package rbac

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// Access is what the storages need from the authorizers.
type Access struct {
	// Authorizer decides whether a user may bind or escalate.
	Authorizer authorizer.UnconditionalAuthorizer
	Rules      RuleResolver
	View       View
}

// RuleResolver tells what users and roles may do.
type RuleResolver interface {
	// Rules returns the rules that u has in namespace, "" for cluster-wide. With
	// an error they are right but not all.
	Rules(ctx context.Context, u user.Info, namespace string) ([]rbacv1.PolicyRule, error)
	// RoleRules returns the rules of a role as a binding in namespace names it.
	RoleRules(ctx context.Context, ref rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, error)
}

// View is told of each committed write before the client is answered.
type View interface {
	Written(obj runtime.Object)
	Deleted(obj runtime.Object)
}
