package apiserver

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"laterna.dev/laterna/internal/etcd/presence"
	"laterna.dev/laterna/internal/registry"
)

// newPresence follows all kinds of a table that are stored: what works on objects of a kind
// begins with the first of them.
func newPresence(kinds registry.Table) *presence.Presence {
	var prefixes []string
	for r := range kinds.Kept() {
		prefixes = append(prefixes, prefixOf(r))
	}
	return presence.New(prefixes...)
}

// prefixOf is where the storages keep the objects of a resource.
func prefixOf(r schema.GroupResource) string { return objectPrefix + "/" + placeOf(r) + "/" }

// Stored returns what is closed once the store has an object of a resource, be it stored by
// another server, and at once for resources that are not the program's own, such as custom
// ones. It may be called at any time.
func (s *Server) Stored(r schema.GroupResource) <-chan struct{} { return s.presence.First(prefixOf(r)) }
