package apiserver

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/core/service"
	"laterna.dev/laterna/internal/registry/core/serviceaccount/token"
	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/registry/systemobjects"
	"laterna.dev/laterna/internal/tokens/issuer/status"
	"laterna.dev/laterna/internal/tokens/review"
	"laterna.dev/laterna/internal/tokens/uses"
)

// buildStorages builds the storages of all kinds, and what issues and checks tokens.
func (s *Server) buildStorages(env resource.Env) (*registry.Storages, *tokens, error) {
	c := s.config
	var t *tokens
	all, err := c.Kinds.Build(registry.Parts{
		Env:        env,
		Authorizer: s.access.all,
		Rules:      s.access.rules,
		RBAC:       s.access.guard(),
		Kubelets:   c.Kubelets.TLS,
		ClusterIPs: c.Services.Range,
		Keys:       s.ring,
		Tokens: func(b *registry.Builder) (made registry.Tokens, err error) {
			t, made, err = s.buildTokens(b)
			return made, err
		},
		Clock: c.Clock,
		Wall:  c.Wall,
		Log:   c.Log,
	})
	if err == nil && t == nil {
		err = errors.New("no kind of the table issues or checks tokens")
	}
	return all, t, err
}

// buildTokens builds what issues and checks tokens, on the storages of what they are
// bound to.
func (s *Server) buildTokens(b *registry.Builder) (*tokens, registry.Tokens, error) {
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
	t, err := newTokens(c, s.ring, objects, operator, s.backend, uses.New(s.access.client, c.Wall, c.Log))
	if err != nil {
		return nil, registry.Tokens{}, err
	}
	return t, registry.Tokens{
		Issue: token.Config{
			ServiceAccounts:  objects.ServiceAccounts,
			Pods:             objects.Pods,
			Secrets:          objects.Secrets,
			Nodes:            objects.Nodes,
			Issuer:           t.issuers,
			Clock:            c.Clock,
			MaxExpiration:    c.Tokens.MaxExpiration,
			ExtendExpiration: c.Tokens.ExtendExpiration,
			Issued:           noteIssued(t.rotations),
		},
		Authenticate: bearer(t.check),
		Audiences:    t.issuers.APIAudiences,
	}, nil
}

// systemObjects returns what keeps the objects that the server itself makes.
func (s *Server) systemObjects(all *registry.Storages, env resource.Env) (*systemobjects.Keeper, error) {
	c := systemobjects.Config{Scheme: env.Scheme, Range: s.config.Services.Range, Advertise: s.config.Serving.Advertise, Wall: s.config.Wall, Log: s.config.Log}
	for path, into := range map[string]*systemobjects.Storage{"namespaces": &c.Namespaces, "services": &c.Services, "endpoints": &c.Endpoints} {
		var err error
		if *into, err = registry.As[systemobjects.Storage](all, corev1.Resource(path)); err != nil {
			return nil, err
		}
	}
	books, err := registry.As[*service.Storage](all, corev1.Resource("services"))
	if err != nil {
		return nil, err
	}
	c.Repair = books.Repair
	return systemobjects.New(c), nil
}
