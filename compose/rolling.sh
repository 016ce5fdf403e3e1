#!/bin/sh
# compose/rolling.sh: replaces the replicas of inference one by one, under load. For a restart, for other settings, or for
# a new image: docker compose build inference. It uses the stack that docker compose uses, so COMPOSE_PROJECT_NAME and
# COMPOSE_FILE apply.
set -eu
cd "$(dirname "$0")/.."
SECONDS_TO_START=180

is_ready() {
    docker exec "$1" python -m veleta.probe http://localhost:8000/readyz >/dev/null 2>&1
}

# wait_until_ready REPLICA
wait_until_ready() {
    end=$(($(date +%s) + SECONDS_TO_START))
    until is_ready "$1"; do
        if [ "$(date +%s)" -gt "$end" ]; then
            echo "the new replica $1 is not ready after $SECONDS_TO_START s, so the old ones stay: docker logs $1" >&2
            exit 1
        fi
        sleep 1
    done
}

old=$(docker compose ps --quiet inference)
count=$(echo "$old" | wc -w)
for replica in $old; do
    before=$(docker compose ps --quiet inference)
    docker compose --progress quiet up --detach --no-deps --no-recreate --scale inference=$((count + 1)) inference
    for new in $(docker compose ps --quiet inference); do
        case $before in
            *"$new"*) ;;
            *) wait_until_ready "$new" ;;
        esac
    done
    docker stop "$replica" >/dev/null
    docker rm "$replica" >/dev/null
    echo "replaced $(echo "$replica" | cut -c 1-12)"
done
