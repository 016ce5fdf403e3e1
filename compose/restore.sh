#!/bin/sh
# compose/restore.sh FOLDER: creates each volume from its archive in FOLDER. Changes nothing if one of the volumes exists,
# or if an archive is missing, changed or not listed in SHA256SUMS.
set -eu
. "$(dirname "$0")/volumes.sh"

[ $# = 1 ] || fail "usage: compose/restore.sh FOLDER"
folder=$(absolute "$1")
[ -d "$folder" ] || fail "$1: no such folder"
[ -e "$folder/SHA256SUMS" ] ||
    fail "$1 has no SHA256SUMS: the backup was interrupted, or is of an earlier version (see docs/how-to/back-up.md)"
(cd "$folder" && sha256sum --check --strict --quiet SHA256SUMS >&2) ||
    fail "$1 is not as compose/backup.sh wrote it: nothing was restored"
for archive in "$folder"/*.tar.gz; do
    grep --quiet --line-regexp --extended-regexp "[0-9a-f]{64}  ${archive##*/}" "$folder/SHA256SUMS" ||
        fail "${archive##*/} is not in SHA256SUMS: nothing was restored"
done
is_down
for volume in $(volumes); do
    full=${project}_$volume
    docker volume inspect "$full" >/dev/null 2>&1 &&
        fail "the volume $full exists: docker compose down --volumes deletes it and all others"
done
docker compose create --quiet-pull >/dev/null 2>&1 || fail "docker compose create failed"
docker compose rm --force --stop >/dev/null 2>&1
for volume in $(volumes); do
    [ -e "$folder/$volume.tar.gz" ] || continue
    in_container "${project}_$volume:/volume" "$folder:/backup:ro" \
        "find /volume -mindepth 1 -delete && tar -C /volume -xzpf /backup/$volume.tar.gz"
    echo "$volume: restored"
done
