#!/bin/sh
# Writes zz_generated.openapi.go: the OpenAPI models of every API type that the
# server serves, and of the types those refer to; and, beside the types of this
# module, zz_generated.model_name.go with the names of their models. The generator's
# version is the one pinned in go.mod . Add a package here when a kind is added; a
# missing transitive package shows as "cannot find model definition" in the
# tests of internal/apiserver.
set -eu
cd "$(dirname "$0")/../../.."
report=$(mktemp)
header=$(mktemp)
trap 'rm -f "$report" "$header"' EXIT

ours="
laterna.dev/laterna/api/config/v1
laterna.dev/laterna/api/identity/v1alpha1
laterna.dev/laterna/api/operator/v1
laterna.dev/laterna/api/projection/v1alpha1
"
theirs="
k8s.io/api/authentication/v1
k8s.io/api/authorization/v1
k8s.io/api/coordination/v1
k8s.io/api/core/v1
k8s.io/api/policy/v1
k8s.io/api/rbac/v1
k8s.io/apimachinery/pkg/api/resource
k8s.io/apimachinery/pkg/apis/meta/v1
k8s.io/apimachinery/pkg/runtime
k8s.io/apimachinery/pkg/util/intstr
k8s.io/apimachinery/pkg/version
"
readonly=""
for p in $theirs; do readonly="$readonly --readonly-pkg $p"; done

# shellcheck disable=SC2086 # lists of words
go tool openapi-gen \
	--go-header-file "$header" \
	--output-dir internal/generated/openapi \
	--output-pkg laterna.dev/laterna/internal/generated/openapi \
	--output-file zz_generated.openapi.go \
	--output-model-name-file zz_generated.model_name.go \
	--report-filename "$report" \
	$readonly $theirs $ours
