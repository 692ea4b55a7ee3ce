// Package podfields says which fields of a pod spec the node agent honours.
//
// It owns the table and nothing that acts on it: the registry turns findings into
// Warning headers when a pod is created, the agent lets a pod with a blocking
// finding wait and says so in an Event. It imports Kubernetes types only, so that
// both may use it.
package podfields
