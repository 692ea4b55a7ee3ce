// Package managed brings up the container runtime of a node with this process: a private
// containerd that has the sandbox image, or one that somebody else runs.
//
// It owns the order of the start, which the rest of the system does not wait for, and the
// moment from which the runtime can be used. The daemon itself lives in
// runtime/containerd, its images in runtime/images, what the agent does with a runtime in
// internal/node.
package managed
