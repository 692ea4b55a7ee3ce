// Package cri is the agent's view of a container runtime: a thin typed client of
// the Container Runtime Interface, in plain Go types.
//
// It owns the translation to and from the wire, the call timeouts, and how the
// runtime's events are learnt (CRI's GetContainerEvents where the runtime offers it,
// else containerd's own event service). It is the only package that imports
// k8s.io/cri-api. What is asked of the runtime, and when, is decided in
// internal/node; starting a private containerd is in internal/runtime/containerd,
// importing images in internal/runtime/images.
package cri
