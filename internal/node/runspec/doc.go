// Package runspec derives from a pod what the container runtime is asked to run:
// sandbox and container specifications, the managed /etc/hosts, the resolver
// configuration. All of it is pure.
//
// It owns the mapping of pod fields (security context, resources, names, labels)
// and the labels by which a pod's parts are found again. Environment variables are
// internal/node/env's, volumes internal/volumes/place's, calling the runtime
// internal/node/podworker's.
package runspec
