// Package proxy is the proxy that `laterna proxy` runs, the ambassador of a pod: the API
// as plain HTTP on this machine alone, with credentials that its clients need not have.
//
// What is let through and how it is forwarded is kubectl's code. This package owns where
// it listens, which is never beyond the machine, and the credentials of a pod, which it
// reads anew for each request (pod.go). The command is internal/cli's, the proxy
// subresources of the API server in internal/registry/core/proxy.
package proxy
