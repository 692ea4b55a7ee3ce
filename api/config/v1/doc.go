// Package v1 is the part of OpenShift's API group config.openshift.io, version v1,
// that this project serves: kind Authentication with the issuer of service account
// tokens, which operators change there while everything runs.
//
// It owns the Go types. What the server checks lives in
// internal/registry/config/authentication; what follows from a change lives in
// internal/controller/tokenissuer. Objects are JSON or YAML; there is no protobuf form.
//
// +groupName=config.openshift.io
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.openshift.config.v1
package v1
