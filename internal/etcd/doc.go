// Package etcd is the store: an etcd server inside the process, listening on a
// unix socket, or the endpoints of an etcd cluster that runs elsewhere.
//
// A store that is damaged or that another process has ends a start with an error that says
// why and what to do: what the library does not check, or gives up for by ending the
// process, is found and taken in open.go and the files beside it.
//
// It owns the server's tuning and life, clients for either kind of store, and a
// sealed value with compare-and-swap for secrets that are not API objects. How
// API objects are laid out and encrypted lives in internal/apiserver.
package etcd
