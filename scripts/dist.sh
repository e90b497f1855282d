#!/bin/sh
# Builds the archive that runs from any folder: target/archives/armature-export-VERSION-TARGET.tar.gz,
# with its SHA-256 beside it. Linux x86_64 only: elsewhere DuckDB publishes no library that the build
# knows.
#
# Usage: dist.sh DUCKDB    (the folder of fetch-duckdb.sh)
set -eu

duckdb=${1:?usage: dist.sh DUCKDB}
# shellcheck source=scripts/build-dist.sh
. scripts/build-dist.sh
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
root=$name-$version-x86_64-unknown-linux-gnu
out=$built/archives

rm -rf "$out"
mkdir -p "$out"
scripts/stage-install.sh "$program" "$duckdb" "$out/$root"
mkdir "$out/$root/bin"
install -m 755 "$program" "$out/$root/bin/$name"
install -m 644 README.md CHANGELOG.md LICENSE "$out/$root"

# The same bytes from the same commit: order, owner and times are fixed.
time=$(git log -1 --format=%ct 2>/dev/null || echo 0)
tar -C "$out" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time" -cf - "$root" \
    | gzip -9n >"$out/$root.tar.gz"
(cd "$out" && sha256sum "$root.tar.gz" >"$root.tar.gz.sha256")
echo "$out/$root.tar.gz"
