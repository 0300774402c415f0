#!/bin/sh
# What pip cannot bring, from Debian or Ubuntu; elsewhere says what to install.
#   system-packages.sh run     what the agent needs
#   system-packages.sh test    what the tests drive besides: a browser, a namespace without a network,
#                              telephones, a proxy, a sound server, other people's clients
set -eu

missing=""
case "$1" in
run)
    # llama.cpp is compiled with OpenMP.
    if [ "$(uname -s)" = Linux ] && ! ldconfig -p 2>/dev/null | grep -q 'libgomp\.so\.1'; then
        missing="libgomp1"
    fi
    ;;
test)
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || missing="chromium"
    command -v npm >/dev/null || missing="$missing nodejs npm"
    command -v ip >/dev/null || missing="$missing iproute2"
    command -v unshare >/dev/null || missing="$missing util-linux"
    command -v sipp >/dev/null || missing="$missing sip-tester"
    command -v baresip >/dev/null || missing="$missing baresip-core"
    command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
    command -v linphonec >/dev/null || missing="$missing linphone-cli"
    command -v pulseaudio >/dev/null || missing="$missing pulseaudio"
    command -v paplay >/dev/null || missing="$missing pulseaudio-utils"
    # Lets PortAudio, which knows only ALSA here, speak to the sound server.
    ls /usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so >/dev/null 2>&1 ||
        missing="$missing libasound2-plugins"
    ldconfig -p 2>/dev/null | grep -q 'libportaudio\.so' || missing="$missing libportaudio2"
    ;;
*)
    echo "usage: $0 run|test" >&2
    exit 2
    ;;
esac
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "please install: $missing" >&2
    exit 0
fi
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
echo "installing $missing"
$as_root apt-get update -q
# shellcheck disable=SC2086 # several names
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -q -y --no-install-recommends $missing
