// Package status turns what the runtime reports about a pod into the pod's status
// for the API, as a pure function.
//
// It owns phase, conditions and container statuses with upstream's reasons. When a
// container is started or given up is decided in internal/node/lifecycle; writing the
// status to the API is internal/node/statuswriter's.
package status
