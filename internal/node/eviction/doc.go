// Package eviction keeps a node's memory, and its numbers of processes, from being used up
// by pods.
//
// It owns when the node is short of one (--eviction-hard), how long it says so, who must go,
// and the words for that: grammar, order and messages are those of the kubelet's eviction
// manager. What is left of the machine is read by internal/host/machine, what a pod takes by
// internal/host/cgroups; how a pod ends is internal/node/podworker's, and the disk
// internal/node/diskroom's. It looks once a second, where a kubelet does every ten.
package eviction
