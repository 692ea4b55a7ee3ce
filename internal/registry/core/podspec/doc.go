// Package podspec defaults and validates pod specs, for pods and for the
// templates that other kinds hold.
//
// It owns the rules of PodSpec, Container and Volume with the wording and field
// paths of Kubernetes. Rules that only a stored Pod has (updates, status, graceful
// deletion) live in internal/registry/core/pod; which fields the agent honours is
// said by internal/podfields.
package podspec
