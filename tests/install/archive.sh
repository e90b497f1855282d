#!/bin/sh
# Unpacks the archive into an empty folder, and runs the demo from it in another one, with nothing of
# this checkout in the environment.
#
# Usage: archive.sh ARCHIVE
set -eu

archive=$(realpath "${1:?usage: archive.sh ARCHIVE}")
. "$(dirname "$0")/installed.sh"

(cd "$(dirname "$archive")" && sha256sum --check --quiet "$archive.sha256")
tar -xzf "$archive" -C "$work"
root=$work/$(basename "$archive" .tar.gz)
[ "$(ls "$work")" = "$(basename "$root")" ] || fail "the archive unpacks into more than one folder"
check_installed "$root"
# A folder that is moved, and a link from elsewhere.
mv "$root" "$work/moved"
ln -s "$work/moved/bin/armature-export" "$work/linked"
bare "$work/linked" --version >/dev/null || fail "it does not run by a link"
echo "the archive runs"
