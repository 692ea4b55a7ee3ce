// Package scheduler binds pods that wait to nodes that can run them.
//
// A node qualifies when it is ready and schedulable, its taints are tolerated, its
// labels match nodeSelector and required node affinity, what the pod requests (CPU,
// memory, ephemeral storage, extended resources, host ports, a place among the node's
// pods) is free, and its pods and those of its zone let the pod be there: pod affinity and
// anti-affinity, topology spread. Among those the one wins that is least used and most
// preferred. Where no node qualifies, pods of less priority make way. Taints that evict
// pods are internal/controller/tainteviction's.
//
// Not done: spreading that nobody asked for, preference for images that are present, and
// what pods that are there prefer of new ones.
//
// One goroutine decides, over a ledger that counts a decision at once and not only
// when it comes back through a watch, so that pods created together never
// over-commit a node. Bindings are written concurrently.
package scheduler
