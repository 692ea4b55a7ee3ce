// Package podfields knows the fields of a pod spec: which of them the node agent honours,
// where its containers stand, whether they are started again, which ports of its node it
// takes, and which API objects it refers to.
//
// It owns the table, the walk over containers and the list of references, and nothing
// that acts on them: the registry turns findings into Warning headers when a pod is
// created, the agent lets a pod with a blocking finding wait and says so in an Event,
// authorization and admission decide what may be referred to. It imports Kubernetes types
// only, so that all may use it.
package podfields
