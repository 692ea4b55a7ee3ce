#!/usr/bin/env bash
# Starts `laterna up` in the background and returns when it is ready.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${LATERNA_DATA_DIR:-/var/lib/laterna}
[ "$(id -u)" = 0 ] && sudo= || sudo=sudo
$sudo mkdir -p "$data"
log=$data/laterna.log
$sudo touch "$log" && $sudo chmod 0600 "$log"

# A session of its own: the system outlives this shell.
$sudo setsid bin/laterna up --data-dir "$data" "$@" </dev/null > >($sudo tee "$log.out" >/dev/null) 2> >($sudo tee -a "$log" >/dev/null) &
pid=$!
until $sudo grep -q '^ready in' "$log.out" 2>/dev/null; do
  if ! kill -0 $pid 2>/dev/null; then
    $sudo tail -n 5 "$log" >&2
    exit 1
  fi
  read -rt 0.05 <> <(:) || true
done
cat <<TEXT
$($sudo tail -n 1 "$log.out"), log in $log

  export PATH=$PWD/bin:\$PATH
  export KUBECONFIG=$data/kubeconfig
  kubectl get nodes
  kubectl create serviceaccount build-robot
  kubectl create token build-robot --audience vault --duration 10m

Test images (no registry is asked for them): make images && laterna image import build/images/*.tar
Stop and remove everything that runs: laterna down
TEXT
