#!/bin/sh
# Makes .venv from requirements.lock. Run from the root of the checkout, by make, when something it reads has changed.
set -eu

fail() {
    echo "$1" >&2
    exit 1
}

PYTHON=python3.11
"$PYTHON" -c "" 2>/dev/null || fail "python3.11 does not run: install Python 3.11"
export UV_PYTHON_DOWNLOADS=never

# uv stays outside .venv, which is synchronised with the lock and would lose it.
UV=uv
if ! uv --version >/dev/null 2>&1; then
    UV=.runtime/uv/bin/uv
    if ! "$UV" --version >/dev/null 2>&1; then
        "$PYTHON" -m venv --clear .runtime/uv || fail "python3.11 has no venv module: install it (python3.11-venv)"
        .runtime/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9 || fail "uv could not be installed"
    fi
fi

echo "installing what requirements.lock names into .venv"
[ -x .venv/bin/python ] || "$UV" venv --quiet --clear --python "$PYTHON" .venv
VIRTUAL_ENV=.venv
export VIRTUAL_ENV
"$UV" pip sync --quiet --require-hashes requirements.lock || fail "requirements.lock could not be installed"
set -- -e shared -e compose/local
for service in services/*/; do
    set -- "$@" -e "$service"
done
"$UV" pip install --quiet --no-deps "$@" || fail "the packages of this checkout could not be installed"
touch .venv/installed
