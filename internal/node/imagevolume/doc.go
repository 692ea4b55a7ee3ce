// Package imagevolume gives pods the files of images as volumes.
//
// It owns when such an image is pulled and mounted, and how long the runtime keeps its
// files: until the pod's volumes are torn down, whatever becomes of the image's name. The
// pull itself, with its Events and back-offs, is internal/node/imagepull's, the files of
// images are internal/runtime/images', the mount in the pod's directory and what a
// container gets of it internal/volumes/place's.
//
// A container runtime of somebody else's has no files that could be mounted here: a
// container that wants some waits there, and says so.
package imagevolume
