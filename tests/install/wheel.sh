#!/bin/sh
# Installs the wheel into a bare virtual environment, without an index, and runs the demo there, with
# nothing of this checkout in the environment.
#
# Usage: wheel.sh WHEEL
set -eu

wheel=$(realpath "${1:?usage: wheel.sh WHEEL}")
. "$(dirname "$0")/installed.sh"

python3 -m venv "$work/environment"
"$work/environment/bin/pip" --quiet --disable-pip-version-check install --no-index "$wheel"
check_installed "$work/environment"
# `uvx` and `pipx` link the command from a folder of their own.
ln -s "$work/environment/bin/armature-export" "$work/linked"
bare "$work/linked" --version >/dev/null || fail "it does not run by a link"
"$work/environment/bin/pip" --quiet --disable-pip-version-check uninstall --yes armature-export
[ ! -e "$work/environment/lib/armature-export/libduckdb.so" ] || fail "pip left DuckDB's library"
echo "the wheel runs"
