package queryapi

import (
	"context"

	"laterna.dev/laterna/internal/aws/caller"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/clock"
)

// What the API is called on the wire.
const (
	Name      = "iam"
	Version   = "2010-05-08"
	Namespace = "https://iam.amazonaws.com/doc/2010-05-08/"
)

// Config is what the API is made from. Every field is required unless it says otherwise.
type Config struct {
	Store iam.Store
	// Authenticate says who signed a call.
	Authenticate func(context.Context, *query.Call) (*caller.Caller, error)
	// Thumbprint fetches that of the host of an issuer, for providers that are created
	// without. Optional: such providers have none then.
	Thumbprint func(ctx context.Context, issuer string) (string, error)
	// Decided is told of decisions that deny a call, for whoever explains them. Optional.
	Decided func(*query.Call, *policy.Decision)
	// Clock is the time of credentials, which policies may ask for.
	Clock clock.API
}

// API are the operations. It is safe for concurrent use; between calls nothing runs.
type API struct {
	config   Config
	patterns patterns
}

// New returns an API.
func New(c Config) *API { return &API{c, newPatterns()} }

// Service is the API for a query.Handler.
func (a *API) Service() *query.Service {
	actions := map[string]query.Action{}
	for name, do := range a.actions() {
		actions[name] = query.Action{Run: func(ctx context.Context, call *query.Call) (any, error) {
			result, err := do(&request{api: a, ctx: ctx, call: call, Params: call.Params()})
			return result, refusal(err)
		}}
	}
	return &query.Service{Name: Name, Version: Version, Namespace: Namespace, Actions: actions, Authenticate: a.config.Authenticate}
}

// action does one call.
type action func(*request) (any, error)

// actions are all there are.
func (a *API) actions() map[string]action {
	return map[string]action{
		"CreateOpenIDConnectProvider":             createProvider,
		"GetOpenIDConnectProvider":                getProvider,
		"ListOpenIDConnectProviders":              listProviders,
		"DeleteOpenIDConnectProvider":             deleteProvider,
		"AddClientIDToOpenIDConnectProvider":      addClientID,
		"RemoveClientIDFromOpenIDConnectProvider": removeClientID,
		"UpdateOpenIDConnectProviderThumbprint":   updateThumbprint,
		"TagOpenIDConnectProvider":                tagProvider,
		"UntagOpenIDConnectProvider":              untagProvider,
		"ListOpenIDConnectProviderTags":           listProviderTags,

		"CreateRole":               createRole,
		"GetRole":                  getRole,
		"ListRoles":                listRoles,
		"UpdateRole":               updateRole,
		"DeleteRole":               deleteRole,
		"UpdateAssumeRolePolicy":   updateAssumeRolePolicy,
		"PutRolePolicy":            putRolePolicy,
		"GetRolePolicy":            getRolePolicy,
		"DeleteRolePolicy":         deleteRolePolicy,
		"ListRolePolicies":         listRolePolicies,
		"AttachRolePolicy":         attachRolePolicy,
		"DetachRolePolicy":         detachRolePolicy,
		"ListAttachedRolePolicies": listAttachedRolePolicies,

		"CreatePolicy": createPolicy,
		"GetPolicy":    getPolicy,
		"ListPolicies": listPolicies,
		"DeletePolicy": deletePolicy,
	}
}
