#!/bin/sh
# Creates .venv from requirements.lock. Before that it installs what is missing: a JRE, Maven and uv.
# make runs it in the root of the checkout when one of its inputs has changed.
#
# `install.sh tests` installs only what the tests need besides: a browser with its driver, and curl.
# `install.sh soak` installs only what the storm needs besides: libfaketime, outside .venv.
# `install.sh places` installs only the packages whose data are in the table of places, outside .venv.
# `install.sh bench` installs only what drift is measured and compared with: Evidently, outside .venv.
# `install.sh helm` installs only what the charts are checked with: Helm, kubeconform and the schemas of Kubernetes.
# `install.sh spark` installs only PySpark, into .venv, where its executors have the other packages. It stays there.
set -eu
purpose=${1:-run}

# A user may have set these. They would lead pip, uv and Python to other folders than .venv and .runtime.
unset PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV UV_SYSTEM_PYTHON UV_PYTHON UV_TARGET PYTHONHOME PYTHONPATH

fail() {
    echo "$1" >&2
    exit 1
}

case $PWD in
    *:*) fail "$PWD: PATH and Java allow no colon in a path, so move or rename this folder" ;;
esac

supported() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

PYTHON=
for name in python3.11 python3.12 python3.13 python3; do
    if supported "$name"; then
        PYTHON=$name
        break
    fi
done
[ "$PYTHON" ] || fail "Python 3.11, 3.12 or 3.13 is needed, and none of them is on the PATH"
export UV_PYTHON_DOWNLOADS=never

# uv is outside .venv, because a sync with the lock would delete it there.
UV=uv
uv --version >/dev/null 2>&1 || UV=.runtime/uv/bin/uv
has_uv() {
    "$UV" --version >/dev/null 2>&1
}

# The packages of a file, in a folder outside .venv. The hashes of the file also hold for what builds a package.
install_outside() {
    "$UV" pip install --quiet --require-hashes --no-deps --target "$1" --requirements "$2" --build-constraints "$2" ||
        fail "the packages of $2 could not be installed: check the network"
}

has_spark() {
    set -- .venv/lib/python3*/site-packages/pyspark/version.py
    [ -e "$1" ]
}

case $purpose in
    # Not Debian's: with its FAKETIME_DONT_FAKE_MONOTONIC, time.sleep of Python 3.11 fails.
    soak)
        [ -e .runtime/faketime/libfaketime ] || install_outside .runtime/faketime "${0%/*}/faketime.txt"
        exit 0
        ;;
    bench)
        [ -e .runtime/evidently/evidently ] || install_outside .runtime/evidently tests/bench/requirements.txt
        exit 0
        ;;
    helm)
        [ -e .runtime/kubernetes/kubernetes_validate ] || install_outside .runtime/kubernetes compose/helm/schemas.txt
        # Go compares what it downloads with its own database of checksums.
        tools="helm.sh/helm/v4/cmd/helm@v4.3.2 github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0"
        [ "$(cat .runtime/helm/tools 2>/dev/null)" = "$tools" ] && exit 0
        go version >/dev/null 2>&1 || fail "Helm and kubeconform are built with Go, and go is not on the PATH: install it"
        echo "building Helm and kubeconform, once: about five minutes of a processor"
        for tool in $tools; do
            GOBIN=$PWD/.runtime/helm go install "$tool" || fail "$tool could not be built"
        done
        echo "$tools" >.runtime/helm/tools
        exit 0
        ;;
    spark)
        if ! has_spark; then
            "$PYTHON" -I "${0%/*}/veleta_local/disk_space.py" spark || exit 1
            echo "installing PySpark into .venv (455 MB, once)"
        fi
        "$UV" pip install --quiet --python .venv/bin/python --require-hashes --no-deps --requirements requirements-spark.lock \
            --build-constraints requirements-spark.lock || fail "PySpark could not be installed: check the network"
        exit 0
        ;;
    places)
        install_outside .runtime/places shared/places/requirements.txt
        exit 0
        ;;
esac

has_java() {
    version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 17 ]
}

# For a package that apt's lists only mention, apt-cache succeeds too, but prints nothing.
in_lists() {
    [ "$(apt-cache show "$1" 2>/dev/null)" ]
}

# The default JRE of Ubuntu 22.04 is older than 17.
jre() {
    for package in openjdk-21-jre-headless openjdk-17-jre-headless; do
        if in_lists "$package"; then
            echo "$package"
            return
        fi
    done
    echo default-jre-headless
}

# The Debian packages of what is missing. On Debian, ensurepip is in the venv package.
missing() {
    if [ "$purpose" = tests ]; then
        command -v chromium >/dev/null || command -v google-chrome >/dev/null || echo chromium
        command -v curl >/dev/null || echo curl
        # The driver of Playwright is a Node.js that is linked to this library.
        .venv/lib/python3*/site-packages/playwright/driver/node --version >/dev/null 2>&1 || echo libatomic1
        return
    fi
    has_java || jre
    command -v mvn >/dev/null || echo maven
    has_uv || "$PYTHON" -c "import ensurepip" 2>/dev/null ||
        "$PYTHON" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
}

# Reads apt's progress (APT::Status-Fd) and prints a line for each quarter.
quarters() {
    printed=
    while IFS=: read -r kind _ percent _; do
        case $kind in
            dlstatus) line="  fetched" ;;
            pmstatus) line="  installed" ;;
            failed) return 1 ;;
            *) continue ;;
        esac
        line="$line $((${percent%%[.,]*} / 25 * 25)) %"
        [ "$line" = "$printed" ] || echo "$line"
        printed=$line
    done
}

apt_install() {
    { $as_root apt-get install -y -qq --no-install-recommends -o APT::Status-Fd=1 "$@" </dev/null 2>.runtime/apt.log ||
        echo failed; } | quarters
}

update() {
    echo "updating apt's lists"
    $as_root apt-get update -qq
}

install_missing() {
    command -v apt-get >/dev/null || fail "install these packages, or those of your system: $*"
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        fail "run this as root first: apt-get update && apt-get install -y --no-install-recommends $*"
    fi
    mkdir -p .runtime
    if ! in_lists "$1"; then
        update
        # shellcheck disable=SC2046 # words; the new lists may have a better JRE
        set -- $(missing)
    fi
    echo "installing with apt: $*"
    apt_install "$@" || { update && apt_install "$@"; } ||
        fail "apt could not install $*: $(grep '^E:' .runtime/apt.log | tail -n 1)"
    [ "$purpose" = tests ] || has_java ||
        fail "java is still older than 17: select another one with update-alternatives --config java"
}

# shellcheck disable=SC2046 # words
set -- $(missing)
# A complete .venv is only brought up to date.
if [ $# -gt 0 ] || ! [ -e .venv/installed ]; then
    "$PYTHON" -I "${0%/*}/veleta_local/disk_space.py" "$purpose" "$@" || exit 1
fi
[ $# = 0 ] || install_missing "$@"
[ "$purpose" = run ] || exit 0

if ! has_uv; then
    echo "installing uv into .runtime/uv"
    "$PYTHON" -m venv --clear .runtime/uv || fail "$PYTHON could not create .runtime/uv"
    .runtime/uv/bin/python -m pip install --disable-pip-version-check --require-hashes --requirement "${0%/*}/uv.txt" ||
        fail "uv could not be installed: check the network"
fi

echo "installing requirements.lock into .venv"
[ -x .venv/bin/python ] || "$UV" venv --quiet --clear --python "$PYTHON" .venv
VIRTUAL_ENV=.venv
export VIRTUAL_ENV
set -- requirements.lock
if has_spark; then
    set -- "$@" requirements-spark.lock --build-constraints requirements-spark.lock
fi
"$UV" pip sync --require-hashes "$@" || fail "requirements.lock could not be installed (complete downloads stay, run make again to continue)"
set --
for project in */pyproject.toml */*/pyproject.toml; do
    set -- "$@" -e "${project%/pyproject.toml}"
done
"$UV" pip install --quiet --no-deps "$@" || fail "the packages of this checkout could not be installed"
touch .venv/installed
