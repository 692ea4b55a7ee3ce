package garbagecollector

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// view is what the graph says of one object at a time.
type view struct {
	identity
	virtual, ending, foreground, orphaning bool
	// owns tells whether it owns anything, circular whether it owns something that waits
	// for the end of what it owns itself.
	owns, circular bool
	// foreign are references to owners that are seen in another namespace.
	foreign []metav1.OwnerReference
}

// look returns what is known of an object.
func (g *graph) look(uid types.UID) (v view, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.nodes[uid]
	if n == nil {
		return view{}, false
	}
	v = view{identity: n.identity, virtual: n.virtual, ending: n.ending, foreground: n.foreground, orphaning: n.orphaning, owns: len(n.dependents) > 0}
	for d := range n.dependents {
		if d.foreground {
			v.circular = true
			break
		}
	}
	for _, ref := range n.owners {
		if owner := g.nodes[ref.UID]; owner != nil && !owner.virtual && owner.namespace != "" && owner.namespace != n.namespace {
			v.foreign = append(v.foreign, ref)
		}
	}
	return v, true
}

// blocking returns how many objects block the deletion of their owner, and those of them
// that nobody has deleted yet.
func (g *graph) blocking(owner types.UID) (count int, idle []types.UID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.nodes[owner]
	if n == nil {
		return 0, nil
	}
	for d := range n.dependents {
		for _, ref := range d.owners {
			if ref.UID != owner || !blocks(ref) {
				continue
			}
			count++
			if !d.ending {
				idle = append(idle, d.uid)
			}
			break
		}
	}
	return count, idle
}

// dependents returns what an object owns.
func (g *graph) dependents(owner types.UID) (all []identity) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.nodes[owner]
	if n == nil {
		return nil
	}
	for d := range n.dependents {
		all = append(all, d.identity)
	}
	return all
}
