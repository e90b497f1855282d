#!/bin/sh
# Puts what opens a page in a browser into a folder: Playwright, which drives Chromium, and axe,
# which checks accessibility, by npm in pinned versions. Chromium itself comes from Debian, in its
# own version, and is installed if there is none. Prints nothing where all is there.
#
# Usage: fetch-chromium.sh FOLDER
set -eu

packages='playwright-core@1.65.1 axe-core@4.14.1'
folder=${1:?usage: fetch-chromium.sh FOLDER}

fail() {
    echo "error: $*" >&2
    exit 1
}

if ! command -v chromium >/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "there is no \`chromium\`; install it"
    fi
    echo "installing chromium" >&2
    apt-get -qq update || fail "cannot update the lists of packages (above)"
    apt-get -qq install --yes --no-install-recommends chromium >&2 ||
        fail "cannot install chromium (above)"
fi

if [ "$(cat "$folder/packages" 2>/dev/null)" = "$packages" ]; then
    exit 0
fi
command -v npm >/dev/null || fail "\`npm\` is needed to fetch $packages"
echo "fetching $packages" >&2
rm -rf "$folder"
mkdir -p "$folder"
# Neither has dependencies, and no script of theirs needs to run: Playwright's would fetch browsers.
# shellcheck disable=SC2086
npm install --silent --prefix "$folder" --no-save --no-audit --no-fund --ignore-scripts $packages ||
    fail "cannot fetch $packages (above)"
# Written last: if it is there, everything is.
printf '%s' "$packages" >"$folder/packages"
