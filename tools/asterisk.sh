#!/bin/sh
# The exchange Asterisk for the tests, unpacked into a folder: nothing is installed, no root is needed.
#   asterisk.sh FOLDER
# Debian's stable releases have had none since bookworm, so it comes from unstable, with the libraries
# it needs; apt checks the signatures. Its program runs by its own loader: see tests/asterisk/pbx.py.
set -eu

mkdir -p "$1"
# Whole, since apt takes any other path for one below its own folders.
root=$(cd "$1" && pwd)
[ ! -e "$root/usr/sbin/asterisk" ] || exit 0
keys=/usr/share/keyrings/debian-archive-keyring.gpg
# The archive this machine has its packages from, its own mirror if it has one.
archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    grep '/debian/$' | head -n 1) || archive=""
if [ -z "$archive" ] || [ ! -e $keys ]; then
    echo "the tests with Asterisk are skipped: it is unpacked on Debian alone" >&2
    exit 0
fi

here=$root/apt
rm -rf "$root"
mkdir -p "$here/lists/partial" "$here/archives/partial" "$here/none"
echo "deb [signed-by=$keys] $archive sid main" >"$here/sources.list"
: >"$here/status"
apt() {
    apt-get -q -o Dir::Etc::sourcelist="$here/sources.list" -o Dir::Etc::sourceparts="$here/none" \
        -o Dir::State="$here" -o Dir::State::status="$here/status" -o Dir::Cache="$here" \
        -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)" "$@" >>"$here/log" 2>&1 || {
        tail -5 "$here/log" >&2
        echo "the tests with Asterisk are skipped: it could not be fetched" >&2
        rm -rf "$root"
        exit 0
    }
}
echo "fetching Asterisk, 80 MB"
apt update
apt install -y --no-install-recommends --download-only asterisk
for package in "$here"/archives/*.deb; do
    dpkg-deb -x "$package" "$here/unpacked"
done
rm -rf "$here/unpacked/usr/share/doc" "$here/unpacked/usr/share/locale"
# Moved at the end: a run that was cut off begins anew.
mv "$here/unpacked"/* "$root"
rm -rf "$here"
