// Package upgrade carries the connections that HTTP requests for exec, attach and
// port-forward turn into, through a server to the one behind it: from a client to a
// kubelet, from an API server to a container runtime. Through does the same for protocols
// that it does not know, between a client and a pod.
//
// It owns how such a connection is asked for (what of a request and of its answer goes
// on, and how much is read before the upgrade), how it is passed on frame by frame, and
// how it ends: a client gets everything that was written before the end, however slowly
// it reads. Who may open a connection, and to what, lives with the callers; the
// translation of WebSockets to SPDY in internal/registry/core/pod.
//
// What is lost otherwise: a socket that is closed while its peer has not read all yet
// answers whatever still arrives with a reset, and the reset throws away what was not
// sent. Clients ping every five seconds. So a connection to a client is closed only after
// the client's end of it, and pings reach the server behind only while all it has
// written is taken (kubernetes issue 124571).
package upgrade
