#!/usr/bin/env bash
# Compiles and vets the public packages, with their tests, for every platform that
# they promise to work on.
set -euo pipefail
cd "$(dirname "$0")/.."
for os in linux darwin windows; do
  GOOS=$os ${GO:-go} build ./projection/... ./boundtoken/... ./api/...
  GOOS=$os ${GO:-go} vet ./projection/... ./boundtoken/... ./api/...
done
