# Functions of backup.sh and restore.sh. They use the stack that docker compose uses, so COMPOSE_PROJECT_NAME and
# COMPOSE_FILE apply.
called_from=$PWD
cd "$(dirname "$0")/.."

fail() {
    echo "$1" >&2
    exit 1
}

project=$(docker compose config --format json | sed -n 's/^  "name": "\(.*\)",$/\1/p')

volumes() {
    docker compose config --volumes
}

is_down() {
    [ -z "$(docker compose ps --quiet)" ] || fail "the stack is up: docker compose down first"
}

# absolute FOLDER: its path, which is relative to the caller's folder.
absolute() {
    case $1 in
        /*) echo "$1" ;;
        *) echo "$called_from/$1" ;;
    esac
}

# in_container VOLUME FOLDER COMMAND: runs it as root, so that tar can save and restore the owners of files.
in_container() {
    docker run --rm --network none --user 0 --volume "$1" --volume "$2" --entrypoint sh veleta/prepare -c "$3"
}
