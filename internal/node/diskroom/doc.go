// Package diskroom makes room on a disk that pods have filled.
//
// It owns who must go when the disk of the data directory is full, the pod that has most on
// it beyond its request (bytes or inodes), and the words for that, which are those of the
// kubelet's eviction manager. When a disk counts as full is internal/host/reserve's; how a
// pod ends is internal/node/podworker's.
package diskroom
