// Package scheduler binds pods that wait to nodes that can run them.
//
// A node qualifies when it is ready and schedulable, its taints are tolerated, its
// labels match nodeSelector and required node affinity, and what the pod requests
// (CPU, memory, ephemeral storage, extended resources, host ports, a place among
// the node's pods) is free. Among those the least used one wins. Pod affinity,
// spreading and preemption are not done.
//
// One goroutine decides, over a ledger that counts a decision at once and not only
// when it comes back through a watch, so that pods created together never
// over-commit a node. Bindings are written concurrently.
package scheduler
