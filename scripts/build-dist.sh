# For `.`, by dist.sh and wheel.sh: builds the program that an archive and a wheel contain. Wants
# $duckdb, the folder of fetch-duckdb.sh; sets $name, $built (cargo's output folder) and $program, and
# exports what a later call of cargo needs to build the same.

name=armature-export
built=${CARGO_TARGET_DIR:-target}
program=$built/dist/$name

DUCKDB_LIB_DIR=$(cd "$duckdb" && pwd)
# Where it will be installed: PREFIX/bin and PREFIX/lib.
DUCKDB_RUN_PATH="\$ORIGIN/../lib/$name"
# Messages of panics name source files: without the folders of this machine, so that the same commit
# gives the same bytes.
RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$PWD=/src"
export DUCKDB_LIB_DIR DUCKDB_RUN_PATH RUSTFLAGS

cargo build --locked --profile dist --no-default-features
