// Package resize changes how much CPU and memory a pod has while it runs (KEP-1287).
//
// It owns what each pod of the node is allocated, which may be less than its spec asks
// for; that is on disk, so that an agent that was killed goes on with it. It brings what
// is allocated to control groups and containers, in an order in which no limit is ever in
// the way of another one, and says what of that is still to come: the conditions
// PodResizePending and PodResizeInProgress, and the Events about them.
//
// What a resize may ask for is checked by the API (internal/registry/core/pod), whether the
// node has room is internal/node/admit's to say, what amounts mean to the runtime is
// internal/node/runspec's. A container that must be restarted is restarted by its pod's
// worker (internal/node/podworker).
package resize
