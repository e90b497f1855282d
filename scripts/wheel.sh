#!/bin/sh
# Builds the wheel, target/wheels/armature_export-VERSION-py3-none-manylinux….whl: the binary, which pip
# installs as a command, and beside it DuckDB's library, completions and manual pages.
#
# Usage: wheel.sh DUCKDB TOOLS    (the folders of fetch-duckdb.sh, and of fetch-python.sh with maturin)
set -eu

duckdb=${1:?usage: wheel.sh DUCKDB TOOLS}
tools=${2:?usage: wheel.sh DUCKDB TOOLS}
# shellcheck source=scripts/build-dist.sh
. scripts/build-dist.sh
# pip puts scripts into PREFIX/bin, and data into PREFIX.
scripts/stage-install.sh "$program" "$duckdb" target/wheel/armature_export.data/data
rm -rf "$built/wheels"
"$tools/bin/maturin" build --quiet --out "$built/wheels" >&2
ls "$built"/wheels/*.whl
