#!/usr/bin/env bash
# Installs what test/tools/package-lock.json names from npm, where it is not there yet. No
# script of a package is run.
set -euo pipefail
cd "$(dirname "$0")/../test/tools"
cmp -s package-lock.json node_modules/.installed && exit 0
echo "installing packages of npm in test/tools"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
cp package-lock.json node_modules/.installed
