// Package probe asks containers how they are: liveness, readiness and startup probes by
// command, HTTP, TCP and gRPC, when their specs say so.
//
// It owns the schedule of all probes of a node, how one is carried out, with a bound on
// all that the other side decides, and what the results in a row mean: started, ready,
// failed. A probe that waits costs an entry in a heap, no goroutine and no timer of its
// own. What is done about a container that has failed is internal/node/podworker's, what a
// status says internal/node/status's. Rules and texts are those of the kubelet's prober.
package probe
