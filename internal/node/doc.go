// Package node is the agent of one node: it runs the pods that are bound to it and
// reports about them.
//
// It owns the composition and the life of pods: which container is started, when,
// how often, how it is ended, what is written to the API about it. Each pod has one
// worker, a goroutine that is the only one to change what the pod has on the
// runtime. Everything moves by events: watches of the API on one side, the
// runtime's events on the other; a relist every second catches what was lost.
//
//	API watch ──▶ Agent.pods ──▶ worker ──▶ volumes, runtime (CRI)
//	runtime events, relist ──────▶ worker ──▶ status, Events, deletion ──▶ API
//
// What lives elsewhere: speaking CRI (cri), what is asked of the runtime (runspec,
// env), pod status (status), node object and lease (registration), logs (logs), the
// HTTPS endpoint (podapi), volumes and their objects (volumes, objects, tokencache),
// the managed containerd and images (containerd, images).
package node
