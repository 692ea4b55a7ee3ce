package registry

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"laterna.dev/laterna/internal/authz/node"
	"laterna.dev/laterna/internal/registry/rbac/bootstrap"
	"laterna.dev/laterna/internal/registry/scheme"
)

// Table lists kinds by group-version. It is not changed once it is in use.
type Table []Group

// Group is an API group-version and the kinds of it that are served.
type Group struct {
	Version schema.GroupVersion
	// AddToScheme adds the Go types of the group-version.
	AddToScheme func(*runtime.Scheme) error
	Kinds       []Kind
}

// Kind is what the server must know of one kind, or of a subresource with a kind of
// its own.
type Kind struct {
	// Serve is how it is stored and answered: defaults, rules, table and paths.
	Serve Served
	// Roles is what the default roles may do with it, where those of Kubernetes do not
	// say. Without it only cluster administrators may do anything with a new kind.
	Roles Roles
	// Node narrows what role system:node lets nodes do to their own objects.
	Node node.Access
	// Confidential objects hold secrets: they are sealed in the store, and the audit
	// log never has them.
	Confidential bool
	// Unowned objects are answered, or made into something else, and never stored as
	// they are: nobody manages their fields.
	Unowned bool
	// Seldom objects are read so seldom that the store itself answers: they cost no cache
	// in memory, and each watch of them is one of the store's.
	Seldom bool
}

// Roles is what default roles may do, as verbs separated by blanks. Who may edit may
// view, who may administrate a namespace may edit.
type Roles struct{ View, Edit, Node string }

// resource returns the resource that a row is about; a subresource's has a slash.
func (g Group) resource(k Kind) schema.GroupResource {
	return schema.GroupResource{Group: g.Version.Group, Resource: k.Serve.Resource}
}

// Has tells whether the table has kinds of a group-version.
func (t Table) Has(gv schema.GroupVersion) bool {
	return slices.ContainsFunc(t, func(g Group) bool { return g.Version == gv })
}

// each calls f with every row.
func (t Table) each(f func(schema.GroupResource, Kind)) {
	for _, g := range t {
		for _, k := range g.Kinds {
			f(g.resource(k), k)
		}
	}
}

// Scheme builds the scheme of the table's kinds.
func (t Table) Scheme() (*scheme.Scheme, error) {
	groups := make([]scheme.Group, len(t))
	for i, g := range t {
		groups[i] = scheme.Group{Version: g.Version, AddToScheme: g.AddToScheme}
		for _, k := range g.Kinds {
			if k.Serve.Register != nil {
				groups[i].Register = append(groups[i].Register, k.Serve.Register)
			}
			if k.Serve.Hub != nil {
				groups[i].Hub = k.Serve.Hub
			}
		}
	}
	return scheme.New(groups)
}

// Grants is what the default roles may do with the kinds that those of Kubernetes do
// not know.
func (t Table) Grants() (grants []bootstrap.Grant) {
	t.each(func(r schema.GroupResource, k Kind) {
		if k.Roles != (Roles{}) {
			grants = append(grants, bootstrap.Grant{Resource: r, View: k.Roles.View, Edit: k.Roles.Edit, Node: k.Roles.Node})
		}
	})
	return grants
}

// NodeAccess is how nodes are kept to their own objects, by resource.
func (t Table) NodeAccess() map[schema.GroupResource]node.Access {
	all := map[schema.GroupResource]node.Access{}
	t.each(func(r schema.GroupResource, k Kind) {
		if k.Node != node.ByRole {
			all[r] = k.Node
		}
	})
	return all
}

// Confidential are the resources, and subresources behind a slash, whose objects hold
// secrets.
func (t Table) Confidential() map[schema.GroupResource]bool {
	return t.those(func(k Kind) bool { return k.Confidential })
}

// Seldom are the resources that have no cache.
func (t Table) Seldom() map[schema.GroupResource]bool {
	return t.those(func(k Kind) bool { return k.Seldom })
}

// Kept are the resources whose objects are in the store as they are served.
func (t Table) Kept() map[schema.GroupResource]bool {
	return t.those(func(k Kind) bool { return !k.Unowned && !strings.Contains(k.Serve.Resource, "/") })
}

func (t Table) those(are func(Kind) bool) map[schema.GroupResource]bool {
	all := map[schema.GroupResource]bool{}
	t.each(func(r schema.GroupResource, k Kind) {
		if are(k) {
			all[r] = true
		}
	})
	return all
}
