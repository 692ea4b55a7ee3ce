// Package logs reads the log files that a CRI runtime writes for containers, and
// keeps them from growing without end.
//
// It owns the line format (CRI's logging format: time, stream, tag, text), tail,
// since, limits and following, and rotation. Which file belongs to which container
// is internal/node's; serving logs over HTTP is internal/node/podapi's.
package logs
