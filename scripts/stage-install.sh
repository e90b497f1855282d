#!/bin/sh
# Puts everything that an installation consists of, but the program itself, into a folder in the
# layout of a Unix prefix: DuckDB's library, licences, completions and manual pages.
#
# Usage: stage-install.sh PROGRAM DUCKDB FOLDER
#   PROGRAM  the built armature-export, which prints completions and manual pages
#   DUCKDB   the folder of fetch-duckdb.sh
set -eu

program=${1:?usage: stage-install.sh PROGRAM DUCKDB FOLDER}
duckdb=${2:?usage: stage-install.sh PROGRAM DUCKDB FOLDER}
folder=${3:?usage: stage-install.sh PROGRAM DUCKDB FOLDER}
name=armature-export

# The program looks for the library relative to the place where it will be installed.
run() { LD_LIBRARY_PATH=$duckdb "$program" "$@"; }

rm -rf "$folder"
mkdir -p "$folder/lib/$name" "$folder/share/man/man1" "$folder/share/doc/$name" \
    "$folder/share/bash-completion/completions" "$folder/share/zsh/site-functions" \
    "$folder/share/fish/vendor_completions.d"
install -m 644 "$duckdb/libduckdb.so" "$folder/lib/$name/libduckdb.so"

run completions bash >"$folder/share/bash-completion/completions/$name"
run completions zsh >"$folder/share/zsh/site-functions/_$name"
run completions fish >"$folder/share/fish/vendor_completions.d/$name.fish"

run man >"$folder/share/man/man1/$name.1"
# The commands are the first words of the list in the help, up to the empty line.
for command in $(run --help | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\)  .*/\1/p'); do
    [ "$command" = help ] || run man "$command" >"$folder/share/man/man1/$name-$command.1"
done

install -m 644 LICENSE "$folder/share/doc/$name/LICENSE"
python3 scripts/third-party-licences.py "$duckdb/LICENSE" \
    >"$folder/share/doc/$name/THIRD-PARTY-LICENCES.txt"
