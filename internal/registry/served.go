package registry

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/rbac"
	"laterna.dev/laterna/internal/registry/resource"
)

// Served is how a kind is served. See Stored and the functions beside it.
type Served struct {
	// Resource is where: a plural such as "pods", or a subresource such as
	// "serviceaccounts/token".
	Resource string
	// Register tells the scheme what it must know beside the type. Optional.
	Register func(*runtime.Scheme) error
	// Hub tells the scheme the types that a library works on where they are not those of
	// the API; see scheme.Group. Optional.
	Hub func(*runtime.Scheme) error
	// Storages builds what answers, by path: the resource itself, and what belongs to
	// it.
	Storages func(*Builder) (map[string]rest.Storage, error)
}

// Stored serves a kind that is only stored: what its definition says is all there is.
func Stored[T resource.Object](d resource.Definition[T]) Served {
	return storedWith(func(Parts) resource.Definition[T] { return d })
}

// storedWith is Stored for a kind that needs something beside the store. define is also
// called with no parts, for what does not depend on them.
func storedWith[T resource.Object](define func(Parts) resource.Definition[T]) Served {
	plain := define(Parts{})
	return Served{
		Resource: plain.Plural,
		Register: plain.Register,
		Storages: func(b *Builder) (map[string]rest.Storage, error) { return define(b.Parts).Storages(b.Env) },
	}
}

// guarded serves a kind of roles or bindings.
func guarded[T resource.Object](g rbac.Guarded[T]) Served {
	return Served{
		Resource: g.Plural,
		Register: g.Register,
		Storages: func(b *Builder) (map[string]rest.Storage, error) { return g.Storages(b.Env, b.RBAC) },
	}
}

// answered serves a kind that is answered and never stored.
func answered[T runtime.Object](plural string, build func(*Builder) (resource.Question[T], error)) Served {
	return Served{Resource: plural, Storages: func(b *Builder) (map[string]rest.Storage, error) {
		q, err := build(b)
		if err != nil {
			return nil, err
		}
		return q.Storages(), nil
	}}
}

// own serves a kind with storages of its own.
func own[T resource.Object](d resource.Definition[T], storages func(*Builder) (map[string]rest.Storage, error)) Served {
	return Served{Resource: d.Plural, Register: d.Register, Storages: storages}
}
