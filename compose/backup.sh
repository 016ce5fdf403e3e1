#!/bin/sh
# compose/backup.sh FOLDER: writes an archive of each volume to FOLDER, and last the SHA-256 of each archive.
# The stack must be down, FOLDER must not exist.
set -eu
. "$(dirname "$0")/volumes.sh"

[ $# = 1 ] || fail "usage: compose/backup.sh FOLDER"
folder=$(absolute "$1")
[ ! -e "$folder" ] || fail "$1 exists: pass a new folder"
is_down
mkdir -m 700 "$folder"
for volume in $(volumes); do
    full=${project}_$volume
    docker volume inspect "$full" >/dev/null 2>&1 || continue
    in_container "$full:/volume:ro" "$folder:/backup" "tar -C /volume -czf /backup/$volume.tar.gz ."
    echo "$volume: $(du -h "$folder/$volume.tar.gz" | cut -f 1)"
done
cd "$folder"
sha256sum -- *.tar.gz >SHA256SUMS
