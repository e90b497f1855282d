#!/bin/sh
# Checks Dockerfile and docker-compose.yml without building anything.
#
# Usage: check-containers.sh FOLDER    (of fetch-python.sh)
set -eu

tools=${1:?usage: check-containers.sh FOLDER}

compose() {
    if docker compose version >/dev/null 2>&1; then
        docker compose "$@"
    else
        docker-compose "$@"
    fi
}

"$tools/bin/hadolint" Dockerfile scripts/stores/Dockerfile
"$tools/bin/yamllint" --strict --config-data \
    '{extends: default, rules: {line-length: {max: 110}, document-start: disable, braces: {max-spaces-inside: 1}}}' \
    docker-compose.yml config/recipes

if ! docker compose version >/dev/null 2>&1 && ! command -v docker-compose >/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "error: Docker Compose is needed to check docker-compose.yml" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker-compose >/dev/null
fi
for profile in simulator lakehouse real; do
    compose --profile "$profile" config >/dev/null
done
echo "Dockerfile and docker-compose.yml are in order"
