// Package podprojection writes what the volumes of the node's pods show into
// PodProjection objects of the API.
//
// It owns when and how often that happens, how an object is made from what is known of
// a pod, and the key of the digests. What is shown comes from internal/volumes/place,
// how updates went from internal/volumes/onupdate. The types live in
// api/projection/v1alpha1; objects whose pod is gone are deleted by
// internal/controller/garbagecollector.
//
// Writing happens after the files have changed and never delays them: marks go into a
// queue that one goroutine works off, at most half of the time while others wait. Of a
// pod that changes often only the newest state is written, once a second. A server
// without the kind is asked again now and then.
package podprojection
