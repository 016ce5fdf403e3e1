#!/bin/sh
# compose/backup.sh FOLDER: an archive of each volume of the stack, which must be down, in FOLDER, which must not exist.
set -eu
. "$(dirname "$0")/volumes.sh"

[ $# = 1 ] || fail "compose/backup.sh FOLDER"
[ ! -e "$1" ] || fail "$1 is there already: name a new folder"
is_down
mkdir -m 700 "$1"
folder=$(cd "$1" && pwd)
for volume in $(volumes); do
    full=${project}_$volume
    docker volume inspect "$full" >/dev/null 2>&1 || continue
    in_container "$full:/volume:ro" "$folder:/backup" "tar -C /volume -czf /backup/$volume.tar.gz ."
    echo "$volume: $(du -h "$folder/$volume.tar.gz" | cut -f 1)"
done
