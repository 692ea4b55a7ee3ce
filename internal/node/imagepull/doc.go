// Package imagepull pulls the images of pods with the credentials that the pods have.
//
// It owns which credentials of a pod's pull secrets an image is pulled with, in which
// order, how many pulls go on at a time, which pods may use an image that others have
// pulled (KEP-2535), Events and back-offs of pulls, and which images are removed when the
// disk is full. The calls to the container runtime are internal/runtime/cri's; when a
// container needs its image is internal/node/podworker's to say; imported images are internal/runtime/images'.
package imagepull
