#!/bin/sh
# Puts Python packages, of pinned versions, into an environment of their own: checkers and peers come
# so, by one client. Does nothing where they are there already.
#
# Usage: fetch-python.sh FOLDER PACKAGE…
set -eu

folder=${1:?usage: fetch-python.sh FOLDER PACKAGE…}
shift

if [ "$(cat "$folder/packages" 2>/dev/null)" = "$*" ]; then
    exit 0
fi
command -v python3 >/dev/null || { echo "error: \`python3\` is needed to fetch $*" >&2; exit 1; }
echo "fetching $*" >&2
rm -rf "$folder"
python3 -m venv "$folder"
"$folder/bin/pip" --quiet --disable-pip-version-check install "$@"
# Written last: if it is there, everything is.
printf '%s' "$*" >"$folder/packages"
