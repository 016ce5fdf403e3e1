#!/bin/sh
# Runs commands.py in an empty Debian: nothing is installed but git, make and python3. Needs root and debootstrap.
#
#   tests/fresh/machine.sh demo test
#
# The Debian is a chroot in a new folder of TMPDIR (/var/tmp), with its own processes and mounts. They and the folder
# are gone when the script ends. It uses the package sources, certificates and proxies of this machine. The path of its
# checkout has characters with a meaning in shells, URLs and settings.
set -eu

fail() {
    echo "$1" >&2
    exit 1
}

SUITE=bookworm
FOLDER="it's a folder; 100 % ü \$x"
PASSED='^([A-Za-z]+_(proxy|PROXY)|(PIP|UV|MAVEN|SSL_CERT)_[A-Z_]+|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|PORT_BASE)='

[ "$(id -u)" = 0 ] || fail "run this as root: it needs chroot and mount"
command -v debootstrap >/dev/null || fail "debootstrap is needed: apt-get install debootstrap"
checkout=$(cd "$(dirname "$0")/../.." && pwd)
top=$(mktemp -d "${TMPDIR:-/var/tmp}/veleta-fresh-XXXXXX")
trap 'rm -rf --one-file-system "$top"' EXIT
trap 'exit 1' INT TERM HUP

copy() {
    for file in "$@"; do
        [ ! -e "$file" ] || cp --parents --dereference --recursive "$file" "$top"
    done
}

echo "installing Debian $SUITE into $top"
debootstrap --variant=minbase --include=ca-certificates,git,make,python3 "$SUITE" "$top" >"$top.log" 2>&1 ||
    fail "debootstrap failed: see $top.log"
rm "$top.log"
copy /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/uv /etc/maven/settings.xml /usr/local/share/ca-certificates
copy ~/.config/pip ~/.config/uv ~/.m2/settings.xml
# shellcheck disable=SC2046 # words
copy $(grep -ls Acquire /etc/apt/apt.conf.d/*)
chroot "$top" update-ca-certificates >/dev/null 2>&1
git clone --quiet --no-hardlinks "$checkout" "$top/$FOLDER"

unshare --mount --pid --fork --kill-child sh -eu -c '
    top=$1 folder=$2 passed=$3
    shift 3
    mount -t proc proc "$top/proc"
    mount --rbind /sys "$top/sys"
    mount --rbind /dev "$top/dev"
    mount -t tmpfs tmpfs "$top/dev/shm"
    exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin $(env | grep -E "$passed") \
        chroot "$top" env --chdir="/$folder" python3 tests/fresh/commands.py "$@"
' sh "$top" "$FOLDER" "$PASSED" "$@"
