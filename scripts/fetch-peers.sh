#!/bin/sh
# Puts the program that `make bench` compares with into a folder: dlt, of pinned versions, in a
# Python environment of its own. Does nothing where it is there already. Only the bench's table
# needs it: without, its rows are left out.
#
# Usage: fetch-peers.sh FOLDER
set -eu

folder=${1:?usage: fetch-peers.sh FOLDER}
packages="dlt[duckdb,parquet]==1.31.0 duckdb==2.0.1 pyarrow==26.0.1"

if [ "$(cat "$folder/packages" 2>/dev/null)" = "$packages" ]; then
    exit 0
fi
command -v python3 >/dev/null || { echo "error: \`python3\` is needed to fetch dlt" >&2; exit 1; }
echo "fetching the peers ($packages)" >&2
rm -rf "$folder"
python3 -m venv "$folder"
# shellcheck disable=SC2086
"$folder/bin/pip" --quiet --disable-pip-version-check install $packages
# Written last: whoever finds it finds everything.
printf '%s' "$packages" >"$folder/packages"
