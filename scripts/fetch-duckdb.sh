#!/bin/sh
# Fetches the DuckDB library that the fast build links: the one that DuckDB's own Node.js bindings
# carry, of a pinned version and with a checked digest; and its licence. Prints nothing where they are
# there already.
#
# Usage: fetch-duckdb.sh FOLDER
set -eu

package=@duckdb/node-bindings-linux-x64
version=1.5.6-r.1
library_sha256=3f4962cdd266eab2b479a5b5a4a6d063d279b2954ae814ed00385d553b747633

folder=${1:?usage: fetch-duckdb.sh FOLDER}
library=$folder/libduckdb.so

matches() { echo "$library_sha256  $1" | sha256sum --check --status 2>/dev/null; }

if [ -f "$folder/LICENSE" ] && [ -f "$library" ] && matches "$library"; then
    exit 0
fi
for tool in npm tar sha256sum; do
    command -v "$tool" >/dev/null || { echo "error: \`$tool\` is needed to fetch DuckDB" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "fetching the DuckDB library ($package $version)" >&2
(cd "$work" && npm pack --silent "$package@$version" >/dev/null)
tar -xzf "$work"/*.tgz -C "$work"
if ! matches "$work/package/libduckdb.so"; then
    echo "error: the library of $package $version is not the one expected (SHA-256 differs)" >&2
    exit 1
fi
mkdir -p "$folder"
cp "$work/package/LICENSE" "$folder/LICENSE"
mv "$work/package/libduckdb.so" "$library.new"
mv "$library.new" "$library"
