#!/bin/sh
# Writes zz_generated.openapi.go: the OpenAPI models of every API type that the
# server serves, and of the types those refer to; and, beside the types of this
# module, zz_generated.model_name.go with the names of their models. The generator's
# version is the one pinned in go.mod . Run it when a kind of a new group is added to
# internal/registry/kinds.go; a missing transitive package shows as "cannot find model
# definition" in the tests of internal/apiserver.
set -eu
cd "$(dirname "$0")/../../.."
report=$(mktemp)
header=$(mktemp)
trap 'rm -f "$report" "$header"' EXIT

# What the table of kinds imports of API types.
of_kinds=$(go list -f '{{join .Imports "\n"}}' ./internal/registry | grep -E '^(k8s\.io|laterna\.dev/laterna)/api/')
ours=$(echo "$of_kinds" | grep '^laterna\.dev/')
theirs=$(echo "$of_kinds" | grep '^k8s\.io/')"
k8s.io/apimachinery/pkg/api/resource
k8s.io/apimachinery/pkg/apis/meta/v1
k8s.io/apimachinery/pkg/runtime
k8s.io/apimachinery/pkg/util/intstr
k8s.io/apimachinery/pkg/version
k8s.io/api/scheduling/v1alpha3"
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
