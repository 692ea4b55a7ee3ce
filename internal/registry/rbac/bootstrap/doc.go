// Package bootstrap holds the default roles and bindings and keeps them in the
// store: what is missing is created at every start, what lacks a rule or a subject
// gets it back, what somebody added stays.
//
// The roles are those of Kubernetes 1.37 and, for the kinds that this project adds,
// roles of its own beside them (laterna.dev:). Of the system:controller: ones there are
// those of the controllers that there are, each with the rules that ours needs; they are
// written first, since the controllers wait for them. Keeping aggregated roles right
// afterwards is left to internal/controller/clusterroleaggregation.
package bootstrap
