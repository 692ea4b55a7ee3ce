// Package podspec defaults and validates pod specs, for pods and for the templates that
// other kinds hold, with the wording and field paths of Kubernetes.
//
// It owns the order in which the parts of a spec are gone through, what belongs to no
// part, and the warnings. Rules by subject lie below it: containers, volumes, resources,
// security, scheduling and network; what those share is in downward (references to the
// pod itself), imageref (names of images) and check (rules of single fields). Rules that
// only a stored Pod has (updates, status, graceful deletion) live in
// internal/registry/core/pod; which fields the agent honours is said by
// internal/podfields.
package podspec
