// Package pod owns the Pod kind of core/v1: what an update may change, status,
// graceful deletion, table, and the subresources status, resize, binding, eviction, log,
// exec and attach.
//
// Defaults and validation of pod specs live in internal/registry/core/podspec.
// Choosing a node lives in internal/controller/scheduler, running containers and
// the other end of log, exec and attach in internal/node.
package pod
