#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages whose programs are missing, and only
# those. Nothing that is installed is replaced or removed, no service is enabled.
#
#   scripts/deps.sh run     what `laterna up` needs
#   scripts/deps.sh images  what the test images are built from
#   scripts/deps.sh test    what the tests need
set -euo pipefail

# program:package, or /a/file:package
run="containerd:containerd runc:runc nft:nftables /usr/lib/cni/bridge:containernetworking-plugins"
images="dpkg-deb:dpkg curl:curl /etc/ssl/certs/ca-certificates.crt:ca-certificates"
test="$run $images git:git openssl:openssl /usr/bin/busybox:busybox-static ip:iproute2 tmux:tmux"
# Pages are looked at with a browser; what is of npm installs scripts/npm.sh.
test="$test chromium:chromium /usr/bin/node:nodejs npm:npm"
# Clients of the API in other languages than Go.
test="$test /usr/lib/python3/dist-packages/kubernetes/__init__.py:python3-kubernetes /usr/bin/javac:default-jdk-headless"
# Clients of IAM and STS.
test="$test /usr/bin/aws:awscli /usr/lib/python3/dist-packages/boto3/__init__.py:python3-boto3"
# Wine runs the Windows tests of package projection. Debian has it for amd64 only, and
# the tests do without it, loudly.
optional=
[ "$1:$(uname -m)" != test:x86_64 ] || optional=wine

missing=()
for pair in ${!1}; do
  program=${pair%%:*} package=${pair##*:}
  case $program in
    chromium) command -v chromium chromium-browser google-chrome >/dev/null || missing+=("$package") ;;
    /usr/lib/cni/bridge) [ -x /usr/lib/cni/bridge ] || [ -x /opt/cni/bin/bridge ] || missing+=("$package") ;;
    /*) [ -e "$program" ] || missing+=("$package") ;;
    *) PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || missing+=("$package") ;;
  esac
done
[ "$(id -u)" = 0 ] && sudo= || sudo=sudo
# The test images are made from packages that apt-get fetches: it must know them.
if [ "$1" != run ] && ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
  $sudo apt-get update -qq
fi
[ -z "$optional" ] || ! command -v "$optional" >/dev/null || optional=
[ ${#missing[@]} -gt 0 ] || [ -n "$optional" ] || exit 0

echo "installing: ${missing[*]} $optional"
if ! command -v apt-get >/dev/null; then
  [ ${#missing[@]} -gt 0 ] || { echo "*** NOT INSTALLED: $optional: this machine has no apt-get" >&2; exit 0; }
  echo "this machine has no apt-get: install these by hand: ${missing[*]}" >&2
  exit 1
fi
$sudo apt-get update -qq
# A package's service must not start beside the one that laterna manages: policy-rc.d
# is how Debian says so. It is put back as it was.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null && $sudo chmod 0755 $policy
  made=1
fi
trap '[ -z "$made" ] || $sudo rm -f $policy' EXIT
install() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-remove --no-install-recommends "$@" >/dev/null; }
[ ${#missing[@]} -eq 0 ] || install "${missing[@]}"
[ -z "$optional" ] || install "$optional" || echo "*** NOT INSTALLED: $optional, so its tests will not run" >&2
