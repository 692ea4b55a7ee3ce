// Package podworker owns the life of one pod on its node: volumes and sandbox are made,
// containers started, watched, stopped and started again, and at the end all of it is
// removed, what is told the API about it included.
//
// A Worker is the only one to change what its pod has on the runtime, step by step in
// one goroutine; it is told of changes and shows a Snapshot to whoever asks. What it
// stands on is named in Deps. What must happen to a container is internal/node/lifecycle's
// to decide, what the runtime is asked for is runspec's and env's, what containers have
// of the pod's directory containerfiles', the pod's status status's, and its way to the API
// statuswriter's. Which pods there are, and what is to be done with them as a whole, is
// internal/node's.
package podworker
