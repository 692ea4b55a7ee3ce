// Package publish keeps volumes of API content fresh: secret, configMap, downwardAPI
// and projected volumes.
//
// It owns which volume depends on which object, token or pod, and the way from a
// change to the file: the change marks the volumes that use it, a worker projects each
// anew and swaps it in. Several changes of one volume become one publication of the
// last state. Nothing polls.
//
// A [Gate] may look at new content before it is published; tokens pass it by. Whoever
// follows publications is told after the swap, never before. [Publisher.Snapshot] says
// what each volume shows.
//
// A volume lies in a [Place], which whoever makes the publisher provides: publish
// mounts nothing, knows no containers and needs no rights but those to write there.
// The places of a node's pods live in internal/volumes/place. What a volume holds is
// decided in package projection, how it is written in projection/atomicdir; objects
// and tokens come from internal/volumes/objects and internal/volumes/tokencache.
package publish
