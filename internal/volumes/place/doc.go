// Package place makes the volumes of a node's pods and keeps them fresh: secret,
// configMap, downwardAPI and projected volumes, each in a tmpfs of its own so that
// nothing of the API is ever on a disk, and emptyDir.
//
// It owns the pods directory, which volume depends on which object, token or pod,
// and the way from a change to the file: the change marks the volumes that use it,
// a worker projects each anew and swaps it in. Several changes of one volume become
// one publication of the last state. Nothing polls but the size of an emptyDir.
//
// A [Gate] may look at new content before it is published; tokens pass it by. Whoever
// follows publications is told after the swap, never before. [Manager.Snapshot] says
// what each volume shows.
//
// What a volume holds is decided in package projection, how it is written in
// projection/atomicdir; objects and tokens come from internal/volumes/objects and
// internal/volumes/tokencache. Starting containers lives in internal/node.
package place
