# A self-contained image. The first build compiles DuckDB: over half an hour on two cores.
FROM rust:1-bookworm AS builder
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo .cargo
# Only the two files that the program carries: changing another one does not build it again.
COPY config/armature-export.toml config/demo.toml config/
COPY src src
RUN cargo build --release --locked

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin exporter \
    && install -d -m 0750 -o exporter -g exporter /data
COPY --from=builder /src/target/release/armature-export /usr/local/bin/armature-export
# Relative paths are below /data; a new volume there belongs to the user. Nothing else is written
# to: the root file system can be read-only.
WORKDIR /data
USER 10001
STOPSIGNAL SIGTERM
# Of `schedule` with schedule.listen; other commands end by themselves.
HEALTHCHECK --interval=1m --timeout=10s --start-period=5m CMD ["armature-export", "ready"]
ENTRYPOINT ["/usr/local/bin/armature-export"]
CMD ["--help"]
