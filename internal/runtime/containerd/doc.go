// Package containerd runs a containerd of our own, apart from any other on the
// machine: own root, state, socket and configuration.
//
// The daemon runs in a session of its own and outlives this program; the next start
// adopts it when its configuration is the same, and else replaces it (containers
// keep running either way: they belong to their shims). Stop ends everything.
//
// A daemon is recognised by its command line, which names a configuration file in
// the run directory of this system with the configuration's digest in its name. So
// there is no process file that could be stale or missing.
//
// How the daemon is kept apart from whoever started this program lives in host/launch.
// Talking CRI lives in runtime/cri, images in runtime/images, the CNI configuration in
// network/bridge.
package containerd
