// Package deployment rolls a Deployment's template out: it makes a ReplicaSet of it and
// moves the pods there from those of former templates, which it keeps as history.
//
// What is decided is in rollout.go (which set is which), rolling.go (how many pods each
// has while one replaces the other), proportional.go (when their number changes
// meanwhile), revision.go (what sets remember) and status.go, which do nothing;
// controller.go, sync.go and sets.go have it done. Pods are the business of
// internal/controller/replicaset, whose a set is that of internal/controller/workload.
package deployment
