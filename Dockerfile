# A self-contained image. On x86_64 it takes the library that DuckDB publishes, as `make` does, and
# builds in minutes; on other processors it compiles DuckDB: over half an hour on two cores.
FROM node:22-bookworm-slim AS duckdb
COPY scripts/fetch-duckdb.sh /
RUN mkdir /duckdb && if [ "$(uname -m)" = x86_64 ]; then /fetch-duckdb.sh /duckdb; fi

FROM rust:1-bookworm AS builder
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo .cargo
# Only the two files that the program carries: changing another one does not build it again.
COPY config/armature-export.toml config/demo.toml config/
COPY dbt dbt
COPY src src
COPY templates templates
COPY --from=duckdb /duckdb /duckdb
# The library is installed beside the program: see the last stage.
RUN if [ -f /duckdb/libduckdb.so ]; then \
        export DUCKDB_LIB_DIR=/duckdb DUCKDB_RUN_PATH="\$ORIGIN/../lib/armature-export"; \
        cargo build --profile dist --locked --no-default-features; \
    else \
        cargo build --profile dist --locked; \
    fi

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin exporter \
    && install -d -m 0750 -o exporter -g exporter /data
COPY --from=builder /duckdb /usr/local/lib/armature-export
COPY --from=builder /src/target/dist/armature-export /usr/local/bin/armature-export
# Relative paths are below /data; a new volume there belongs to the user. Nothing else is written
# to: the root file system can be read-only.
WORKDIR /data
USER 10001
STOPSIGNAL SIGTERM
# Of `schedule` with schedule.listen; other commands end by themselves.
HEALTHCHECK --interval=1m --timeout=10s --start-period=5m CMD ["armature-export", "ready"]
ENTRYPOINT ["/usr/local/bin/armature-export"]
CMD ["--help"]
