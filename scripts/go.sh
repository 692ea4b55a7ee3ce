#!/usr/bin/env bash
# Fails, with what to do, where the Go on PATH cannot build this. A Go from 1.21 on gets
# the version that go.mod names by itself.
set -euo pipefail
cd "$(dirname "$0")/.."
need=$(sed -n 's/^go //p' go.mod)
have=$(cd / && GOTOOLCHAIN=local "${GO:-go}" env GOVERSION 2>/dev/null) || have=none
case $have in
  none) what="there is no Go on PATH" ;;
  go1.[0-9] | go1.[0-9].* | go1.1[0-9]* | go1.20*) what="$have is too old" ;;
  *) exit 0 ;;
esac
echo "building needs Go $need or newer, and $what: docs/install.md says how to get it" >&2
exit 1
