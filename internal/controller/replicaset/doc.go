// Package replicaset keeps as many pods of a ReplicaSet running as it asks for, and as
// many of a ReplicationController: to this code that is a ReplicaSet of another kind
// (kind.go).
//
// What is decided about a set, and in which order pods go, is in reconcile.go, rank.go
// and status.go, which do nothing; controller.go has it done. Whose a pod is and how it is
// made is internal/controller/workload's, what a set may say internal/registry's.
package replicaset
