// Package lifecycle decides what must happen to the containers of a pod, as pure
// functions: given the pod's spec, what it has on the runtime and what is remembered,
// which containers are to be stopped, which to be started, which must wait and for how
// long, and what nobody needs any more.
//
// It owns the roles that containers have in a pod and every rule that follows from
// them: whoever adds a role adds it here. Doing what was decided, and remembering, is
// internal/node/podworker's; what a status says of it is internal/node/status's.
package lifecycle
