//! Lets a binary linked against a DuckDB library find that library again at run time.
//!
//! The run path of the binary is the folder `DUCKDB_LIB_DIR` (as in the Makefile), or what
//! `DUCKDB_RUN_PATH` says: an archive or a wheel names a folder relative to the binary. The
//! self-contained build (`bundled`) needs nothing.

#[expect(clippy::disallowed_methods, reason = "a build script has no other way to be told")]
fn main() {
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    println!("cargo::rerun-if-env-changed=DUCKDB_RUN_PATH");
    println!("cargo::rerun-if-changed=build.rs");
    let bundled = std::env::var_os("CARGO_FEATURE_BUNDLED").is_some();
    let folder = std::env::var("DUCKDB_RUN_PATH").or_else(|_| std::env::var("DUCKDB_LIB_DIR"));
    if let (false, Ok(folder)) = (bundled, folder) {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
