// Package etcd is the store: an etcd server inside the process, listening on a
// unix socket, or the endpoints of an etcd cluster that runs elsewhere.
//
// It owns the server's tuning and life, clients for either kind of store, and a
// sealed value with compare-and-swap for secrets that are not API objects. How
// API objects are laid out and encrypted lives in internal/apiserver.
package etcd
