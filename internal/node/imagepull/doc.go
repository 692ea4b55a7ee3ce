// Package imagepull pulls the images of pods with the credentials that the pods have.
//
// It owns which credentials of a pod's pull secrets an image is pulled with, in which
// order, how many pulls go on at a time, which pods may use an image that others have
// pulled (KEP-2535), and which images are removed when the disk is full. The calls to
// the container runtime are internal/runtime/cri's; Events, back-offs and what a container
// waits for are internal/node/podworker's; imported images are internal/runtime/images'.
package imagepull
