#!/bin/sh
# Puts Apache Spark with Iceberg's runtime, of pinned versions and with checked digests
# (scripts/spark), into an environment of its own; the jars are in its folder `jars`. Two things come
# from Debian, in its own version: the HTTP client of Iceberg's REST catalogs, and Java 17, which is
# installed if there is no Java. Prints nothing where all is there.
#
# Usage: fetch-spark.sh FOLDER
set -eu

folder=${1:?usage: fetch-spark.sh FOLDER}
scripts=$(CDPATH='' cd -- "$(dirname -- "$0")/spark" && pwd)
java=openjdk-17-jre-headless
http_client='libhttpclient5-java libhttpcore5-java'

fail() {
    echo "error: $*" >&2
    exit 1
}

is_root() { [ "$(id -u)" = 0 ]; }

need() {
    command -v "$1" >/dev/null || fail "\`$1\` is needed to fetch Spark"
}

update_lists() {
    ! is_root || apt-get -qq update || fail "cannot update the lists of packages (above)"
}

# Spark 3.5 runs on Java 8, 11 and 17.
if ! command -v java >/dev/null; then
    if ! is_root || ! command -v apt-get >/dev/null; then
        fail "Spark needs Java 17, and there is no \`java\`; install $java or the like"
    fi
    echo "installing $java" >&2
    update_lists
    apt-get -qq install --yes --no-install-recommends "$java" >&2 ||
        fail "cannot install $java (above), which Spark needs"
fi

# Written last, so a folder that has it has everything.
pinned() { cat "$scripts/requirements.txt" "$scripts/collect_jars.py"; }
if pinned | cmp -s - "$folder/complete"; then
    exit 0
fi
need python3
need apt-get
need dpkg-deb
echo "fetching Spark" >&2
rm -rf "$folder"
python3 -m venv "$folder" || fail "\`python3 -m venv\` is needed to fetch Spark"
"$folder/bin/pip" --quiet --disable-pip-version-check install --no-deps --require-hashes \
    --requirement "$scripts/requirements.txt" || fail "cannot fetch Spark (above)"
mkdir "$folder/debian"
update_lists
# As the user who calls: the one of its own could not write there.
# shellcheck disable=SC2086
(cd "$folder/debian" && apt-get -qq -o APT::Sandbox::User=root download $http_client) ||
    fail "cannot fetch $http_client (above)"
for package in "$folder"/debian/*.deb; do
    dpkg-deb --extract "$package" "$folder/debian"
done
set -- "$folder/debian/usr/share/java"
"$folder/bin/python" "$scripts/collect_jars.py" "$folder/jars" \
    "$1/httpclient5.jar" "$1/httpcore5.jar" "$1/httpcore5-h2.jar"
pinned >"$folder/complete"
