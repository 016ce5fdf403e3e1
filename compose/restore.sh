#!/bin/sh
# compose/restore.sh FOLDER: creates each volume from its archive in FOLDER. Refuses if one of the volumes exists.
set -eu
. "$(dirname "$0")/volumes.sh"

[ $# = 1 ] || fail "usage: compose/restore.sh FOLDER"
folder=$(cd "$1" 2>/dev/null && pwd) || fail "$1: no such folder"
[ "$(ls "$folder"/*.tar.gz 2>/dev/null)" ] || fail "$1 has no archives of compose/backup.sh"
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
