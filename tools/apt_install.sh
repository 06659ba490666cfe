#!/bin/sh
# Installs Debian packages, as root or by sudo without a password; other programs' locks are waited for.
# `dpkg` is told to wait; `apt-get update` cannot be, so it is tried again as long as the lists are locked.
set -u
limit="${APT_LOCK_TIMEOUT:-600}" # s
pause="${APT_LOCK_PAUSE:-5}"     # s

root=""
[ "$(id -u)" = 0 ] || root="sudo -n"
command -v apt-get >/dev/null && $root true 2>/dev/null || exit 1

apt() {
    $root env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -o "DPkg::Lock::Timeout=$limit" -qq "$@"
}

waited=0
while :; do
    said="$(apt update 2>&1)" && break
    printf '%s\n' "$said" >&2
    case "$said" in
        *"Could not get lock"* | *"Unable to lock"*) ;;
        *) break ;; # a source that cannot be reached need not be the one with the package
    esac
    [ "$waited" -lt "$limit" ] || break
    echo "Another program is using the package manager: waiting for it." >&2
    sleep "$pause"
    waited=$((waited + pause))
done
apt install -y --no-install-recommends "$@" >&2
