// Package v1alpha1 is the API group projection.laterna.dev, version v1alpha1: kind
// PodProjection, the record of what a pod's volumes show.
//
// It owns the Go types, what they promise and the limits of their fields. What the
// server checks lives in internal/registry/projection/podprojection, what fills an
// object in lives in internal/volumes/podprojection. Objects are JSON or YAML; there is
// no protobuf form.
//
// +groupName=projection.laterna.dev
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=dev.laterna.projection.v1alpha1
package v1alpha1
