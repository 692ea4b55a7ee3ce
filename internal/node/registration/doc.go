// Package registration keeps the node's object and its lease in the API up to date.
//
// It owns creating the node, its labels, addresses, capacity, conditions and image
// list, and the two heartbeats: the lease every 10 s, the status at least every
// 5 min and at every change. What the machine has is internal/host/machine's.
package registration
