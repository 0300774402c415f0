#!/bin/sh
# What the tests drive besides Python: a browser, and namespaces without a network.
# Installs from Debian or Ubuntu where that is possible; elsewhere says what to install.
set -eu

missing=""
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || missing="$missing chromium"
command -v ip >/dev/null || missing="$missing iproute2"
command -v unshare >/dev/null || missing="$missing util-linux"
command -v strace >/dev/null || missing="$missing strace"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "install these to run every test:$missing" >&2
    exit 0
fi
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
echo "installing$missing"
$as_root apt-get update -q
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -q -y --no-install-recommends $missing
