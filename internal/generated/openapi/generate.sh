#!/bin/sh
# Writes zz_generated.openapi.go: the OpenAPI models of every API type that the
# server serves, and of the types those refer to; zz_generated.definition.go, which
# finds one of them without making the others; and, beside the types of this
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
k8s.io/api/scheduling/v1alpha3
k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
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

# The generator only knows how to make all models at once: its list of them becomes a
# function that makes one.
(
	cd internal/generated/openapi
	all=zz_generated.openapi.go
	cases=$(awk '/^func GetOpenAPIDefinitions/ { inside = 1; next } inside && /^}/ { exit } inside && /\(ref\),$/ { sub(/: +/, ":\n\t\treturn "); sub(/,$/, ", true"); sub(/^\t\t/, "\tcase "); print }' "$all")
	{
		sed -n '1,/^import (/p' "$all"
		sed -n '/^import (/,/^)/p' "$all" | sed '1d;$d' | while read -r alias path; do
			if [ "$alias" = common ] || echo "$cases" | grep -q "case $alias\\."; then printf '\t%s %s\n' "$alias" "$path"; fi
		done
		printf ')\n\n// Definition returns the model of one name; false where there is none.\n'
		printf 'func Definition(name string, ref common.ReferenceCallback) (common.OpenAPIDefinition, bool) {\n\tswitch name {\n'
		printf '%s\n' "$cases"
		printf '\t}\n\treturn common.OpenAPIDefinition{}, false\n}\n'
	} >zz_generated.definition.go
	gofmt -w zz_generated.definition.go
)
