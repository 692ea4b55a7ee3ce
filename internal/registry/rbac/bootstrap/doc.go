// Package bootstrap holds the default roles and bindings and keeps them in the
// store: what is missing is created at every start, what lacks a rule or a subject
// gets it back, what somebody added stays.
//
// The roles are those of Kubernetes 1.37 and, for the kinds that this project adds,
// roles of its own beside them (laterna.dev:). The system:controller: ones are left
// out: our controllers run inside the server and have no identity that could use them,
// and a role that nothing needs is only a way in. Keeping aggregated roles right
// afterwards is left to internal/controller/clusterroleaggregation.
package bootstrap
