package apiserver

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/authz/node"
	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/core/service"
	"laterna.dev/laterna/internal/registry/core/serviceaccount/token"
	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/registry/systemobjects"
	"laterna.dev/laterna/internal/tokens"
	"laterna.dev/laterna/internal/tokens/issuer"
	"laterna.dev/laterna/internal/tokens/issuer/status"
	"laterna.dev/laterna/internal/tokens/review"
)

// buildStorages builds the storages of all kinds, and what issues and checks tokens.
func (s *Server) buildStorages(env resource.Env) (*registry.Storages, error) {
	c := s.config
	all, err := c.Kinds.Build(registry.Parts{
		Env:             env,
		Authorizer:      s.access.all,
		Rules:           s.access.rules,
		RBAC:            s.access.guard(),
		Kubelets:        c.Kubelets.TLS,
		ClusterIPs:      c.Services.Range,
		Stores:          s.stores,
		APIServices:     s.versions,
		CustomResources: func(ctx context.Context) error { return s.custom.Begin(ctx) },
		Keys:            c.Keys,
		Tokens: func(b *registry.Builder) (made registry.Tokens, err error) {
			s.tokens, made, err = s.buildTokens(b)
			return made, err
		},
		FirstIssuer:   issuer.First(c.Tokens.Issuers),
		IssuerOverlap: c.Tokens.IssuerOverlap,
		Clock:         c.Clock,
		Wall:          c.Wall,
		Log:           c.Log,
	})
	if err == nil && s.tokens == nil {
		err = errors.New("no kind of the table issues or checks tokens")
	}
	return all, err
}

// buildTokens builds what issues and checks tokens, on the storages of what they are
// bound to.
func (s *Server) buildTokens(b *registry.Builder) (*tokens.Tokens, registry.Tokens, error) {
	c := s.config
	var objects review.Getters
	for r, into := range map[schema.GroupResource]*rest.Getter{
		corev1.Resource("serviceaccounts"): &objects.ServiceAccounts, corev1.Resource("pods"): &objects.Pods,
		corev1.Resource("secrets"): &objects.Secrets, corev1.Resource("nodes"): &objects.Nodes,
	} {
		var err error
		if *into, err = b.Getter(r); err != nil {
			return nil, registry.Tokens{}, err
		}
	}
	operator, err := b.Storage(status.Resource)
	if err != nil {
		return nil, registry.Tokens{}, err
	}
	followed, ok := operator.(status.Storage)
	if !ok {
		return nil, registry.Tokens{}, errors.New("storage of kubeapiservers cannot be followed")
	}
	t, err := tokens.New(tokens.Config{
		Issuers:         c.Tokens.Issuers,
		APIAudiences:    c.Tokens.APIAudiences,
		JWKSURI:         c.Tokens.JWKSURI,
		ExternalAddress: c.Serving.Advertise.String(),
		Keys:            c.Keys,
		Status:          followed,
		Objects:         objects,
		Revisions:       s.backend.revisions,
		Client:          s.access.client,
		IsNode:          isNode,
		Clock:           c.Clock,
		Wall:            c.Wall,
		Log:             c.Log,
	})
	if err != nil {
		return nil, registry.Tokens{}, err
	}
	warnOfTokens(c, t.Issuers.Active())
	return t, registry.Tokens{
		Issue: token.Config{
			ServiceAccounts:  objects.ServiceAccounts,
			Pods:             objects.Pods,
			Secrets:          objects.Secrets,
			Nodes:            objects.Nodes,
			Issuer:           t.Issuers,
			Clock:            c.Clock,
			MaxExpiration:    c.Tokens.MaxExpiration,
			ExtendExpiration: c.Tokens.ExtendExpiration,
			Issued:           t.Issued,
		},
		Authenticate: bearer(t.Check),
		Audiences:    t.Issuers.APIAudiences,
	}, nil
}

// isNode tells whether a user is the agent of a node, and of which is known.
func isNode(u user.Info) bool {
	name, ok := node.Name(u)
	return ok && name != ""
}

// warnOfTokens tells what the settings of tokens keep from working, without being
// wrong.
func warnOfTokens(c Config, active string) {
	if why := issuer.Undiscoverable(active); why != nil {
		c.Log.Warn("others cannot discover the issuer of tokens, its documents are not served", "issuer", active, "reason", why)
	}
	if c.Tokens.ExtendExpiration && token.PreventsExtension(c.Tokens.MaxExpiration) {
		c.Log.Warn("injected tokens are not extended: the longest life of a token is shorter than theirs",
			"service-account-max-token-expiration", c.Tokens.MaxExpiration)
	}
}

// systemObjects returns what keeps the objects that the server itself makes.
func (s *Server) systemObjects(all *registry.Storages, env resource.Env) (*systemobjects.Keeper, error) {
	c := systemobjects.Config{Scheme: env.Scheme, Range: s.config.Services.Range, Advertise: s.config.Serving.Advertise, Wall: s.config.Wall, Log: s.config.Log}
	for resource, into := range map[schema.GroupResource]*systemobjects.Storage{
		corev1.Resource("namespaces"): &c.Namespaces, corev1.Resource("services"): &c.Services,
		corev1.Resource("endpoints"): &c.Endpoints, discoveryv1.Resource("endpointslices"): &c.Slices,
		schedulingv1.Resource("priorityclasses"): &c.Priorities, networkingv1.Resource("servicecidrs"): &c.ServiceCIDRs,
	} {
		var err error
		if *into, err = registry.As[systemobjects.Storage](all, resource); err != nil {
			return nil, err
		}
	}
	books, err := registry.As[*service.Storage](all, corev1.Resource("services"))
	if err != nil {
		return nil, err
	}
	c.Books, c.Repair, c.Follow = books.Open, books.Repair, books.Follow
	if c.ServiceCIDRStatus, err = registry.As[rest.Updater](all, networkingv1.Resource("servicecidrs/status")); err != nil {
		return nil, err
	}
	return systemobjects.New(c), nil
}
