// Package env computes a container's environment, command and arguments from its
// spec, as a pure function over lookups that the caller supplies.
//
// It owns the order of sources, which one wins, prefixes, $(VAR) expansion and the
// variables that describe services. Reading fields and resources of a pod is
// package projection's; fetching objects is internal/volumes/objects'.
package env
