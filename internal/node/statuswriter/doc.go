// Package statuswriter writes a pod's status to the API, beside the steps of the worker
// that computes it.
//
// It owns that the newest status wins, what happens at a conflict, and when a write is
// tried again. What the status is, is internal/node/status'; when there is a new one,
// internal/node/podworker's.
package statuswriter
