#!/bin/sh
# The one front door: finds a Python, has it make .venv from the hash-pinned locks (once), hands over to `python -m ops`.
set -eu

case $0 in */*) root=${0%/*} ;; *) root=. ;; esac
root=$(cd -- "$root" && pwd -P)
venv=${WORKFLOW_VENV:-$root/.venv}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3 python; do
        if is_new_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

if ! python=$(find_python); then
    printf 'error: no Python 3.11 or newer was found on PATH\n' >&2
    printf 'mend:  install one (Debian: apt-get install python3 python3-venv), or name it: PYTHON=/path/to/python3.11 %s\n' "$0" >&2
    exit 1
fi

"$python" -I "$root/ops/bootstrap.py" "$root" "$venv"
exec "$venv/bin/python" -P -m ops "$@"
