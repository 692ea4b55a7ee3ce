//go:build tools

// Package tools pins the versions of the programs that the Makefile builds but
// the module does not import: kubectl and the OpenAPI generator.
package tools

import (
	_ "k8s.io/kube-openapi/cmd/openapi-gen"
	_ "k8s.io/kubectl/pkg/cmd"
)
