// Package images keeps the images of the managed containerd: it imports archives
// (as `docker save` and OCI tools write them), lists and removes images, and knows
// which were imported.
//
// It speaks containerd's own API, since CRI has no import: content is written blob
// by blob under a lease, layers are unpacked through the snapshot and diff services,
// and the image records are labelled so that CRI manages them. Pulling from
// registries goes through CRI and lives in runtime/cri.
package images
