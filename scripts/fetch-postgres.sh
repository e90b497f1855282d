#!/bin/sh
# Installs PostgreSQL from Debian's packages. Does nothing where a server is installed already.
#
# Usage: fetch-postgres.sh
set -eu

for folder in /usr/lib/postgresql/*/bin $(echo "$PATH" | tr ':' ' '); do
    if [ -x "$folder/initdb" ] && command -v psql >/dev/null; then
        exit 0
    fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "error: PostgreSQL is needed: install your system's packages for server and client" >&2
    exit 1
fi
echo "installing PostgreSQL" >&2
apt-get install --yes --quiet --no-install-recommends postgresql postgresql-client >/dev/null
