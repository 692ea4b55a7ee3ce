// Package v1 is the part of OpenShift's API group operator.openshift.io, version v1,
// that this project serves: kind KubeAPIServer, which shows the issuers of service
// account tokens and how far a change of them has come on the nodes.
//
// It owns the Go types. What the server checks lives in
// internal/registry/operator/kubeapiserver; the status is written by
// internal/controller/tokenissuer. Objects are JSON or YAML; there is no protobuf form.
//
// +groupName=operator.openshift.io
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.openshift.operator.v1
package v1
