// Package podhost answers what the node's HTTPS endpoint asks about pods, by what their
// workers show.
//
// It owns which container a caller means, and what is told of one that is not there or
// does not run. Who may ask, and how streams and ports are served, is internal/node/podapi's;
// how a log is read internal/node/logs'.
package podhost
