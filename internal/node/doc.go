// Package node is the agent of one node: it runs the pods that are bound to it and
// reports about them.
//
// It owns the composition, and which pods there are: it connects to the container
// runtime, admits pods, takes over what an earlier agent left running, and runs a worker
// for each pod. Everything moves by events: watches of the API on one side, the
// runtime's events on the other; a relist every second catches what was lost.
//
//	API watch ──▶ Agent ──▶ podworker ──▶ volumes, runtime (CRI)
//	runtime events, relist (inventory) ──▶ podworker ──▶ status, Events, deletion ──▶ API
//
// What lives elsewhere: the life of one pod (podworker) and the decisions in it
// (lifecycle), whether a pod is taken (admit), what is on the runtime (inventory), what is asked of it (runspec, env),
// pod status (status), Events (events), node object and lease (registration), logs
// (logs), the HTTPS endpoint (podapi) and what it is told of pods (podhost), images
// (imagepull), who ends where memory is short (eviction), signals and commands for updates (process);
// outside of this tree volumes and their objects (internal/volumes), CRI, the managed
// containerd and images (internal/runtime).
package node
