// Package damaged keeps a system going whose store holds objects that nobody can read: a
// disk has changed bytes of them, or somebody has written there by hand.
//
// It owns the search for such objects, the judgement whether the values are damaged or
// only the keys are wrong, and the view of the store without them that lists and watches
// read: one of them would otherwise fail every list of its kind. A single one stays to be
// asked for, which says why, and to be deleted, as Kubernetes deletes what cannot be read
// (KEP-3926). How values are encrypted lives in internal/encryption; damage to the store's
// files as a whole in internal/etcd.
package damaged
