#!/usr/bin/env python3
"""Prints the licences of every crate that the binary contains, and of DuckDB's library.

Usage: third-party-licences.py DUCKDB_LICENCE

The crates are those that cargo resolves for Linux x86_64 without the feature `bundled`, without
dependencies of tests and of build scripts. A crate without a licence text is listed with the
expression that it states; a crate that states none is an error.
"""

import collections
import json
import pathlib
import subprocess
import sys

TARGET = "x86_64-unknown-linux-gnu"
FILES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE")


def main(duckdb_licence):
    metadata = json.loads(
        subprocess.check_output(
            ["cargo", "metadata", "--locked", "--format-version=1", "--no-default-features"]
            + ["--filter-platform", TARGET]
        )
    )
    packages = {package["id"]: package for package in metadata["packages"]}
    root = metadata["resolve"]["root"]
    crates = sorted(
        (packages[id] for id in linked(metadata["resolve"]) - {root}),
        key=lambda package: (package["name"], package["version"]),
    )

    # Many crates carry the same text, but for white space: it is printed once, below their names.
    texts, titles = {}, collections.defaultdict(list)

    def add(title, text):
        key = " ".join(text.split())
        texts.setdefault(key, text.strip("\n"))
        if title not in titles[key]:
            titles[key].append(title)

    add("DuckDB (libduckdb.so)", pathlib.Path(duckdb_licence).read_text())
    stated = []
    for crate in crates:
        title = f"{crate['name']} {crate['version']}"
        expression = crate["license"]
        found = licence_files(pathlib.Path(crate["manifest_path"]).parent)
        if not expression and not found:
            sys.exit(f"error: {title} states no licence")
        stated.append(f"{title}: {expression or 'see below'}")
        for path in found:
            add(title, path.read_text(errors="replace"))

    print("armature-export contains these crates, and DuckDB's library comes with it.\n")
    print("\n".join(["DuckDB: MIT"] + stated))
    for key, text in texts.items():
        print(f"\n{'=' * 80}\n{', '.join(titles[key])}\n{'-' * 80}\n{text}")


def linked(resolve):
    """The ids of the packages that are linked: reached by normal dependencies alone."""
    nodes = {node["id"]: node for node in resolve["nodes"]}
    found, waiting = set(), [resolve["root"]]
    while waiting:
        id = waiting.pop()
        if id in found:
            continue
        found.add(id)
        for dependency in nodes[id]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    return found


def licence_files(folder):
    """Those of the crate, and of C sources that it carries in a folder of their own."""
    return sorted(
        path
        for path in [*folder.glob("*"), *folder.glob("*/*")]
        if path.is_file() and path.name.upper().startswith(FILES) and path.suffix != ".rs"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
