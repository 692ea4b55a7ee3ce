#!/usr/bin/env bash
# Starts `laterna up` in the background and returns when it is ready. The data
# directory is $LATERNA_DATA_DIR; arguments are further flags of `laterna up`.
set -euo pipefail
cd "$(dirname "$0")/.."
data=$(realpath -m "${LATERNA_DATA_DIR:-/var/lib/laterna}")
log=$data/laterna.log
[ "$(id -u)" = 0 ] && sudo= || sudo=sudo

# A session of its own, with nothing of this terminal: the system outlives both. The
# shell that starts it makes both files first, so that no older line is taken for an
# answer.
pid=$($sudo sh -c '
  umask 077
  log=$1 data=$2; shift 2
  mkdir -p "$data" && : >"$log.out" && echo "== $(date -u +%FT%TZ) $*" >>"$log" || exit
  setsid "$@" --data-dir "$data" </dev/null >"$log.out" 2>>"$log" &
  echo $!
' sh "$log" "$data" bin/laterna up "$@")

until $sudo grep -q '^ready in' "$log.out"; do
  if ! [ -d "/proc/$pid" ]; then
    $sudo sed -n 'H; /^== /h; ${x; s/^[^\n]*\n//; p}' "$log" | tail -n 10 >&2
    exit 1
  fi
  read -rt 0.05 <> <(:) || true
done

kubeconfig=$data/kubeconfig
if [ -n "$sudo" ]; then # root's directory is closed to this user
  mkdir -p build
  $sudo cat "$kubeconfig" | (umask 077 && cat >build/kubeconfig)
  kubeconfig=$PWD/build/kubeconfig
fi
cat <<TEXT
$($sudo tail -n 1 "$log.out"), log in $log

  export PATH=$(printf %q "$PWD")/bin:\$PATH
  export KUBECONFIG=$(printf %q "$kubeconfig")
  kubectl get nodes
  kubectl create serviceaccount build-robot
  kubectl create token build-robot --audience vault --duration 10m

Test images (no registry is asked for them): make images && ${sudo:+sudo }bin/laterna image import${LATERNA_DATA_DIR:+ --data-dir $(printf %q "$data")} build/images/*.tar
Stop everything that runs: ${LATERNA_DATA_DIR:+LATERNA_DATA_DIR=$(printf %q "$data") }make down
TEXT
