// Package authz puts the authorizers in their order: members of system:masters may
// do everything, then the Node authorizer, then RBAC.
//
// Deciding by roles lives in rbac below, deciding by what runs on a node in node.
// Serving decisions as reviews lives in internal/registry/authorization.
package authz

import (
	"fmt"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/authorization/union"

	"laterna.dev/laterna/internal/authz/node"
	"laterna.dev/laterna/internal/authz/rbac"
)

// New returns the decisions of all authorizers and the rules behind them. The names
// of the authorizers stand before their reasons in refusals.
func New(n *node.Authorizer, r *rbac.Authorizer) (authorizer.Authorizer, authorizer.RuleResolver, error) {
	all, err := union.New(
		union.NamedAuthorizer{AuthorizerName: "masters", Authorizer: authorizerfactory.NewPrivilegedGroups(user.SystemPrivilegedGroup)},
		union.NamedAuthorizer{AuthorizerName: "node", Authorizer: n},
		union.NamedAuthorizer{AuthorizerName: "rbac", Authorizer: r},
	)
	if err != nil {
		return nil, nil, fmt.Errorf("joining authorizers: %w", err)
	}
	return all, union.NewRuleResolvers(n, r), nil
}
