package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/apiregistration/apiservice"
	"laterna.dev/laterna/internal/registry/core/serviceaccount/token"
	"laterna.dev/laterna/internal/registry/identity/signingkey"
	"laterna.dev/laterna/internal/registry/rbac"
	"laterna.dev/laterna/internal/registry/resource"
)

// Parts is what storages are built from. Every field is required by some kind.
type Parts struct {
	Env resource.Env
	// Authorizer decides for reviews and for what storages ask about, Rules lists what
	// somebody may do, RBAC is what writes of roles are checked against.
	Authorizer authorizer.Authorizer
	Rules      authorizer.RuleResolver
	RBAC       rbac.Access
	// Kubelets is how agents are dialled.
	Kubelets *tls.Config
	// ClusterIPs is the range of services' addresses.
	ClusterIPs netip.Prefix
	// Stores are hosts with ports at which the store answers, that nobody is led to;
	// none where it listens on no network.
	Stores []string
	// APIServices is which group-versions are served.
	APIServices *apiservice.Book
	// CustomResources begins to serve custom resources; see apiextensions.Storages.
	CustomResources func(context.Context) error
	// Keys signs tokens.
	Keys signingkey.Ring
	// Tokens is called once, by the first kind that needs tokens. It may ask for
	// storages.
	Tokens func(*Builder) (Tokens, error)
	// FirstIssuer is the issuer of tokens while operators ask for none, IssuerOverlap how
	// long a former one is trusted.
	FirstIssuer   string
	IssuerOverlap time.Duration
	// Clock governs the life of tokens and keys, Wall all else.
	Clock clock.API
	Wall  clock.Wall
	Log   *slog.Logger
}

// Tokens issues and checks tokens of service accounts.
type Tokens struct {
	Issue token.Config
	// Authenticate checks a request by its bearer token; Audiences are those of the API
	// server at the time of the call.
	Authenticate authenticator.Request
	Audiences    func() []string
}

// Builder builds the storages of a table, each when it is first asked for. It is used
// by one goroutine.
type Builder struct {
	Parts
	groups []*building
	tokens *Tokens
}

// building is a group-version whose storages are being built.
type building struct {
	Group
	// begun are the resources of rows whose storages are built, or about to be.
	begun  map[string]bool
	byPath map[string]rest.Storage
	// unowned are the types of objects whose fields nobody manages.
	unowned []reflect.Type
}

// Build builds the storages of all kinds.
func (t Table) Build(parts Parts) (*Storages, error) {
	b := &Builder{Parts: parts}
	for _, g := range t {
		b.groups = append(b.groups, &building{Group: g, begun: map[string]bool{}, byPath: map[string]rest.Storage{}})
	}
	all := &Storages{unowned: map[reflect.Type]bool{}}
	for _, g := range b.groups {
		for _, k := range g.Kinds {
			if err := b.build(g, k); err != nil {
				return nil, err
			}
		}
	}
	for _, g := range b.groups {
		if len(g.byPath) > 0 {
			all.Groups = append(all.Groups, GroupStorages{g.Version, g.byPath})
		}
		for _, typ := range g.unowned {
			all.unowned[typ] = true
		}
	}
	return all, nil
}

// build builds the storages of a row unless it has been done.
func (b *Builder) build(g *building, k Kind) error {
	if g.begun[k.Serve.Resource] {
		return nil
	}
	g.begun[k.Serve.Resource] = true
	made, err := k.Serve.Storages(b)
	if err != nil {
		return fmt.Errorf("building storages of %s: %w", g.resource(k), err)
	}
	for path, s := range made {
		if _, ok := g.byPath[path]; ok {
			return fmt.Errorf("two storages for %s of %s", path, g.Version)
		}
		if k.Unowned {
			g.unowned = append(g.unowned, reflect.TypeOf(s.New()))
		}
	}
	maps.Copy(g.byPath, made)
	return nil
}

// Storage returns the storage of a resource, which it builds if it must.
func (b *Builder) Storage(r schema.GroupResource) (rest.Storage, error) {
	for _, g := range b.groups {
		for _, k := range g.Kinds {
			if g.resource(k) != r {
				continue
			}
			if err := b.build(g, k); err != nil {
				return nil, err
			}
			if s, ok := g.byPath[r.Resource]; ok {
				return s, nil
			}
			return nil, fmt.Errorf("the storage of %s needs itself", r)
		}
	}
	return nil, fmt.Errorf("%s is not in the table of kinds", r)
}

// at returns what a group-version serves at a path of a resource, which it builds if it must.
func (b *Builder) at(r schema.GroupVersionResource, path string) (rest.Storage, error) {
	for _, g := range b.groups {
		if g.Version != r.GroupVersion() {
			continue
		}
		for _, k := range g.Kinds {
			if k.Serve.Resource != r.Resource {
				continue
			}
			if err := b.build(g, k); err != nil {
				return nil, err
			}
			if s, ok := g.byPath[path]; ok {
				return s, nil
			}
		}
	}
	return nil, fmt.Errorf("%s of %s is not in the table of kinds", path, r)
}

// Getter returns what reads objects of a resource.
func (b *Builder) Getter(r schema.GroupResource) (rest.Getter, error) {
	return storage[rest.Getter](b, r)
}

// storage returns the storage of a resource as what it can do.
func storage[T any](b *Builder, r schema.GroupResource) (T, error) {
	s, err := b.Storage(r)
	if err != nil {
		var none T
		return none, err
	}
	return as[T](r, s)
}

// tokensOf returns what issues and checks tokens.
func (b *Builder) tokensOf() (Tokens, error) {
	if b.tokens == nil {
		if b.Tokens == nil {
			return Tokens{}, errors.New("nothing issues tokens")
		}
		t, err := b.Tokens(b)
		if err != nil {
			return Tokens{}, err
		}
		b.tokens = &t
	}
	return *b.tokens, nil
}

// Storages are those of all kinds of a table.
type Storages struct {
	// Groups are the group-versions that serve something, in the table's order.
	Groups  []GroupStorages
	unowned map[reflect.Type]bool
}

// GroupStorages is what a group-version serves, by path: "pods", "pods/status".
type GroupStorages struct {
	Version schema.GroupVersion
	ByPath  map[string]rest.Storage
}

// Group returns the storages of an API group by path.
func (s *Storages) Group(name string) map[string]rest.Storage {
	for _, g := range s.Groups {
		if g.Version.Group == name {
			return g.ByPath
		}
	}
	return nil
}

// Unowned tells whether nobody manages the fields of objects like obj.
func (s *Storages) Unowned(obj any) bool { return s.unowned[reflect.TypeOf(obj)] }

// As returns the storage of a resource as what it can do.
func As[T any](s *Storages, r schema.GroupResource) (T, error) {
	return as[T](r, s.Group(r.Group)[r.Resource])
}

func as[T any](r schema.GroupResource, s rest.Storage) (T, error) {
	t, ok := s.(T)
	if !ok {
		return t, fmt.Errorf("storage of %s is a %T, not a %s", r, s, reflect.TypeFor[T]())
	}
	return t, nil
}
