#!/usr/bin/env bash
# Runs every test with reduced counts. The packages where goroutines meet, and
# whose dependencies are few, run with the race detector as well.
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}

echo "== formatting and vet"
unformatted=$(gofmt -l $(git ls-files '*.go'))
if [ -n "$unformatted" ]; then
  printf 'not gofmt-ed:\n%s\n' "$unformatted" >&2
  exit 1
fi
$GO vet ./...
scripts/platforms.sh
for module in test/tools/go.mod test/tools/*/go.mod; do
  (cd "${module%/go.mod}" && $GO vet ./...)
done

echo "== tests"
$GO test -timeout 30m $($GO list ./... | grep -v /test/compat)

# What else is in there is run by the acceptance tests, on systems of theirs.
(cd test/tools && $GO test -timeout 10m ./browser)

echo "== Windows, under Wine"
$GO run ./test/wine ./projection

echo "== race detector"
CGO_ENABLED=1 $GO test -race -short -timeout 20m ./internal/clock ./internal/component ./boundtoken/... ./internal/tokens/keys ./projection/atomicdir

echo "== acceptance tests"
# They mostly wait, for containers and for probes: more of them at a time than processors.
$GO test -timeout 30m -parallel 4 ./test/compat
