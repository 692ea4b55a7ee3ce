package garbagecollector

import (
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"k8s.io/utils/ptr"
)

// absentOwners is how many owners that are not there are remembered.
const absentOwners = 500

// graph is who owns whom. It is safe for concurrent use.
type graph struct {
	mu    sync.Mutex
	nodes map[types.UID]*node
	// parked are objects that refer to kinds that nobody serves.
	parked map[types.UID]struct{}
	// absent are identities that the server has nothing of. A UID never comes again.
	absent *lru.Cache
}

// node is an object, or what others refer to as one.
type node struct {
	identity
	owners     []metav1.OwnerReference
	dependents map[*node]struct{} // nil until there are some
	// virtual nodes are known from references only.
	virtual bool
	// tried is how often something else was meant by a virtual node's UID.
	tried int
	// ending objects have been deleted and not gone yet; of those, foreground ones wait
	// for their dependents' end, and orphaning ones for their dependents' release.
	ending, foreground, orphaning bool
}

// due are the objects to look at after a change: collect, because they or their owners
// may have to go, and orphan, because their dependents have to be released.
type due struct {
	collect, orphan []types.UID
	// later are to be collected after a pause.
	later map[types.UID]time.Duration
}

// alternatives are tried after a pause that grows: those of objects that have to stay are
// tried for ever.
const (
	firstAlternative = 10 * time.Millisecond
	lastAlternative  = 10 * time.Minute
)

func (d *due) collectAll(nodes []*node) {
	for _, n := range nodes {
		d.collect = append(d.collect, n.uid)
	}
}

func newGraph() *graph {
	return &graph{nodes: map[types.UID]*node{}, parked: map[types.UID]struct{}{}, absent: lru.New(absentOwners)}
}

// observe takes in an object as the server has it now.
func (g *graph) observe(k kind, obj metav1.Object) (d due) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := identity{k.apiVersion, k.name, obj.GetNamespace(), obj.GetName(), obj.GetUID()}
	n := g.nodes[id.uid]
	if n == nil {
		n = &node{identity: id}
		g.nodes[id.uid] = n
	}
	if n.virtual {
		n.virtual = false
		if n.identity != id {
			// Who meant something else by this UID has to be looked at.
			_, wrong := agree(n.all(), id)
			d.collectAll(wrong)
		}
	}
	n.identity = id
	g.refer(n, obj.GetOwnerReferences(), &d)
	n.end(obj, &d)
	return d
}

// end takes over how far the deletion of an object is.
func (n *node) end(obj metav1.Object, d *due) {
	ending := obj.GetDeletionTimestamp() != nil
	orphaning := ending && slices.Contains(obj.GetFinalizers(), metav1.FinalizerOrphanDependents)
	foreground := ending && slices.Contains(obj.GetFinalizers(), metav1.FinalizerDeleteDependents)
	switch {
	case orphaning && !n.orphaning:
		d.orphan = append(d.orphan, n.uid)
	case foreground && !n.foreground:
		d.collectAll(n.all())
		d.collect = append(d.collect, n.uid)
	}
	n.ending, n.orphaning, n.foreground = ending, orphaning, foreground
}

// refer sets the owners of a node. Owners that are let go, or are no longer blocked, may
// be able to go themselves.
func (g *graph) refer(n *node, owners []metav1.OwnerReference, d *due) {
	before := n.owners
	if len(before) == 0 && len(owners) == 0 {
		return
	}
	n.owners = owners
	was, is := blocking(before), blocking(owners)
	for uid, blocked := range was {
		owner := g.nodes[uid]
		if owner == nil {
			continue
		}
		blocks, stays := is[uid]
		if blocked && !blocks {
			d.collect = append(d.collect, uid)
		}
		if !stays {
			g.release(owner, n)
		}
	}
	doubtful := false
	for _, ref := range owners {
		if _, known := was[ref.UID]; !known {
			doubtful = g.own(ref, n, d) || doubtful
		}
	}
	if doubtful {
		d.collect = append(d.collect, n.uid)
	}
}

// blocking tells of the owners that references name whether one of them blocks it.
func blocking(refs []metav1.OwnerReference) map[types.UID]bool {
	all := make(map[types.UID]bool, len(refs))
	for _, ref := range refs {
		all[ref.UID] = all[ref.UID] || blocks(ref)
	}
	return all
}

// own notes that ref's owner owns n, and tells whether the reference may mean nothing. An
// owner that nobody has seen is to be looked for.
func (g *graph) own(ref metav1.OwnerReference, n *node, d *due) (doubtful bool) {
	owner := g.nodes[ref.UID]
	if owner == nil {
		owner = &node{identity: referred(ref, n.namespace), virtual: true}
		g.nodes[ref.UID] = owner
		d.collect = append(d.collect, owner.uid)
	} else {
		switch {
		case owner.namespace != "" && owner.namespace != n.namespace, !owner.meant(ref):
			doubtful = true
		case owner.namespace == "" && n.namespace != "" && owner.virtual:
			// The kind may have namespaces, and a cluster's object refers to it wrongly.
			doubtful = true
		}
	}
	if owner.dependents == nil {
		owner.dependents = map[*node]struct{}{}
	}
	owner.dependents[n] = struct{}{}
	return doubtful
}

// release notes that owner no longer owns n.
func (g *graph) release(owner, n *node) {
	delete(owner.dependents, n)
	if len(owner.dependents) == 0 {
		owner.dependents = nil
		if owner.virtual {
			g.drop(owner.uid) // nobody refers to it
		}
	}
}

func (g *graph) drop(uid types.UID) {
	delete(g.nodes, uid)
	delete(g.parked, uid)
}

// remove takes out an object that is gone. What it owned may have to go, and owners that
// wait for its end, too.
func (g *graph) remove(uid types.UID) (d due) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := g.nodes[uid]; n != nil {
		g.gone(n, &d)
	}
	return d
}

func (g *graph) gone(n *node, d *due) {
	g.drop(n.uid)
	if len(n.dependents) > 0 {
		g.absent.Add(n.identity, nil)
		d.collectAll(n.all())
	}
	for _, ref := range n.owners {
		owner := g.nodes[ref.UID]
		if owner == nil {
			continue
		}
		g.release(owner, n)
		if owner.foreground {
			d.collect = append(d.collect, owner.uid)
		}
	}
	// Those that are left refer to nothing; a node that comes again begins anew.
	n.dependents = nil
}

// replace takes in all objects of a kind.
func (g *graph) replace(k kind, all []metav1.Object) (d due) {
	there := make(map[types.UID]struct{}, len(all))
	for _, obj := range all {
		there[obj.GetUID()] = struct{}{}
	}
	g.mu.Lock()
	for uid, n := range g.nodes {
		if _, ok := there[uid]; !ok && !n.virtual && n.apiVersion == k.apiVersion && n.kind == k.name {
			g.gone(n, &d)
		}
	}
	g.mu.Unlock()
	for _, obj := range all {
		more := g.observe(k, obj)
		d.collect, d.orphan = append(d.collect, more.collect...), append(d.orphan, more.orphan...)
	}
	return d
}

// missing takes in that the server has nothing of an identity, which a node had when it
// was looked up.
func (g *graph) missing(id identity) (d due) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.nodes[id.uid]
	if n == nil {
		return d
	}
	yes, no := agree(n.all(), id)
	switch {
	case n.virtual && len(no) > 0 || !n.virtual && n.identity != id:
		// The UID may be of something that others mean by it.
		if len(yes) > 0 {
			g.absent.Add(id, nil)
			d.collectAll(yes)
		}
		if next, ok := alternative(no, id); ok && n.virtual && n.identity == id {
			n.identity = next
			d.later = map[types.UID]time.Duration{n.uid: min(firstAlternative<<min(n.tried, 20), lastAlternative)}
			n.tried++
		}
	default:
		g.gone(n, &d)
	}
	return d
}

// park notes that an object refers to a kind that nobody serves.
func (g *graph) park(uid types.UID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.nodes[uid] != nil {
		g.parked[uid] = struct{}{}
	}
}

// unpark returns all that refer to kinds that nobody served, to be looked at again.
func (g *graph) unpark() (d due) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for uid := range g.parked {
		d.collect = append(d.collect, uid)
	}
	clear(g.parked)
	return d
}

// knownAbsent tells whether an owner is known not to be there.
func (g *graph) knownAbsent(id identity) bool {
	_, ok := g.absent.Get(id)
	return ok
}

// all are the dependents of a node.
func (n *node) all() []*node {
	all := make([]*node, 0, len(n.dependents))
	for d := range n.dependents {
		all = append(all, d)
	}
	return all
}

func blocks(ref metav1.OwnerReference) bool { return ptr.Deref(ref.BlockOwnerDeletion, false) }
