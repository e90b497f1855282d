# For `.`: what archive and wheel have in common. Sets $work, an empty folder that is removed at the end.

checkout=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "error: $*" >&2
    exit 1
}

# Runs a command with an environment that has only what every system has.
bare() { env -i PATH=/usr/bin:/bin HOME="$work" LANG=C.UTF-8 "$@"; }

# Checks a prefix: the program runs the demo twice, finds its own library, names no folder of this
# machine, and brings a page for each command.
check_installed() {
    prefix=$1
    program=$prefix/bin/armature-export
    mkdir "$work/empty"
    cd "$work/empty"
    bare "$program" demo >"$work/first" 2>"$work/said" || fail "the demo failed: $(cat "$work/said")"
    grep -q 'synced [0-9,]* runs' "$work/first" "$work/said" || fail "the demo does not say what it synced"
    [ -f armature-demo/armature.duckdb ] || fail "the demo wrote no DuckDB file"
    bare "$program" demo >/dev/null 2>"$work/said" || fail "the second demo failed: $(cat "$work/said")"

    library=$(bare ldd "$program" | sed -n 's/.*libduckdb.so => \(.*\) (.*/\1/p')
    [ "$(realpath "$library")" = "$(realpath "$prefix/lib/armature-export/libduckdb.so")" ] ||
        fail "it loads $library instead of its own library"
    for folder in "$checkout" "${CARGO_HOME:-$HOME/.cargo}"; do
        ! grep -q -a -F "$folder/" "$program" || fail "the program names $folder"
    done

    bare "$program" completions bash | cmp - "$prefix/share/bash-completion/completions/armature-export" ||
        fail "completions of another version"
    commands=$(bare "$program" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\)  .*/\1/p' | grep -vx help)
    [ "$(echo "$commands" | wc -l)" -ge 15 ] || fail "the help lists only: $commands"
    for command in $commands; do
        grep -q "^.TH armature-export-$command 1" "$prefix/share/man/man1/armature-export-$command.1" ||
            fail "no manual page of $command"
    done
    grep -q 'MIT License' "$prefix/share/doc/armature-export/LICENSE" || fail "no licence"
    grep -q '^DuckDB: MIT' "$prefix/share/doc/armature-export/THIRD-PARTY-LICENCES.txt" ||
        fail "no licences of what it contains"
}
