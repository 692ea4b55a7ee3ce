// Package v1alpha1 is the API group identity.laterna.dev, version v1alpha1: kind
// SigningKey, a key that service account tokens are signed with.
//
// It owns the Go types and what they promise. The objects are made up by the server
// from its ring of keys and hold public halves only: creating one rotates, deleting one
// withdraws a key, and nothing can be updated. That lives in
// internal/registry/identity/signingkey, the life of keys in internal/tokens/keys. Objects are
// JSON or YAML; there is no protobuf form.
//
// +groupName=identity.laterna.dev
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=dev.laterna.identity.v1alpha1
package v1alpha1
