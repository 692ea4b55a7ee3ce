// Package podapi serves the kubelet's HTTPS paths that an API server uses: logs,
// exec, attach, port-forward, the pods of the node and its health.
//
// It owns who may call (client certificate or TokenReview, then
// SubjectAccessReview on the node's subresources), the paths and their parameters,
// the piping of streams to the container runtime's streaming server, and connections to
// the ports of pods, which it makes itself: the runtime's own do not pass on the end of
// one direction, and cut what a slow client has not read. What the
// containers and logs are is asked of the agent through Host; the format of logs is
// internal/node/logs'.
package podapi
