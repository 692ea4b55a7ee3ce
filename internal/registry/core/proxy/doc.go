// Package proxy owns the subresources pods/proxy, services/proxy and nodes/proxy: who is
// meant by scheme:name:port, what of a request goes on to it and what of its answer
// comes back, with the links of pages led back through the proxy.
//
// The pod that answers is a stranger to the server and to the client, and its answers
// come from the server's own address. So it learns no credentials, it cannot send the
// server anywhere, its answers are streamed and never held, and nothing in their header
// speaks for the whole origin.
//
// Which addresses are dialled is internal/network/backends'; what becomes of upgraded
// connections internal/upgrade's; how kubelets are found internal/registry/core/pod's.
package proxy
