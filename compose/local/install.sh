#!/bin/sh
# Makes .venv from requirements.lock, after bringing what this needs and the machine lacks: a JRE, Maven and uv.
# Run from the root of the checkout, by make, when something it reads has changed.
set -eu

fail() {
    echo "$1" >&2
    exit 1
}

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

PYTHON=
for name in python3.11 python3.12 python3.13 python3; do
    if fits "$name"; then
        PYTHON=$name
        break
    fi
done
[ "$PYTHON" ] || fail "Python 3.11, 3.12 or 3.13 is needed, and none of them is on the PATH"
export UV_PYTHON_DOWNLOADS=never

# uv stays outside .venv, which is synchronised with the lock and would lose it.
UV=uv
uv --version >/dev/null 2>&1 || UV=.runtime/uv/bin/uv
has_uv() {
    "$UV" --version >/dev/null 2>&1
}

has_java() {
    version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 17 ]
}

# What apt's lists merely mention it takes as a success too, and shows nothing.
in_lists() {
    [ "$(apt-cache show "$1" 2>/dev/null)" ]
}

# The default JRE of an Ubuntu of 2022 is older than 17.
jre() {
    for package in openjdk-21-jre-headless openjdk-17-jre-headless; do
        if in_lists "$package"; then
            echo "$package"
            return
        fi
    done
    echo default-jre-headless
}

# The Debian packages that bring what is not there. A Debian's Python has no ensurepip without its venv package.
missing() {
    has_java || jre
    command -v mvn >/dev/null || echo maven
    has_uv || "$PYTHON" -c "import ensurepip" 2>/dev/null ||
        "$PYTHON" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
}

# Of what apt says in figures (APT::Status-Fd), a line for each quarter.
quarters() {
    said=
    while IFS=: read -r kind _ percent _; do
        case $kind in
            dlstatus) line="  fetched" ;;
            pmstatus) line="  installed" ;;
            failed) return 1 ;;
            *) continue ;;
        esac
        line="$line $((${percent%%[.,]*} / 25 * 25)) %"
        [ "$line" = "$said" ] || echo "$line"
        said=$line
    done
}

apt_install() {
    { $as_root apt-get install -y -qq --no-install-recommends -o APT::Status-Fd=1 "$@" </dev/null 2>.runtime/apt.log ||
        echo failed; } | quarters
}

update() {
    echo "bringing apt's lists up to date"
    $as_root apt-get update -qq
}

install_missing() {
    command -v apt-get >/dev/null || fail "install these, or what your system calls them: $*"
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        fail "type this as root first: apt-get update && apt-get install -y --no-install-recommends $*"
    fi
    mkdir -p .runtime
    if ! in_lists maven; then
        update
        # shellcheck disable=SC2046 # words; the lists may know a better JRE now
        set -- $(missing)
    fi
    echo "installing by apt: $*"
    apt_install "$@" || { update && apt_install "$@"; } ||
        fail "apt could not install $*: $(grep '^E:' .runtime/apt.log | tail -n 1)"
    has_java || fail "java is still older than 17: choose another by update-alternatives --config java"
}

# shellcheck disable=SC2046 # words
set -- $(missing)
[ $# = 0 ] || install_missing "$@"

if ! has_uv; then
    echo "installing uv into .runtime/uv"
    "$PYTHON" -m venv --clear .runtime/uv || fail "$PYTHON could not make .runtime/uv"
    .runtime/uv/bin/python -m pip install --disable-pip-version-check uv==0.13.9 || fail "uv could not be installed: is the network there?"
fi

echo "installing what requirements.lock names into .venv"
[ -x .venv/bin/python ] || "$UV" venv --quiet --clear --python "$PYTHON" .venv
VIRTUAL_ENV=.venv
export VIRTUAL_ENV
"$UV" pip sync --require-hashes requirements.lock || fail "requirements.lock could not be installed (what has come is kept, make again goes on)"
set --
for project in */pyproject.toml */*/pyproject.toml; do
    set -- "$@" -e "${project%/pyproject.toml}"
done
"$UV" pip install --quiet --no-deps "$@" || fail "the packages of this checkout could not be installed"
touch .venv/installed
