//! Lets a binary linked against a DuckDB library find that library again at run time.
//!
//! With `DUCKDB_LIB_DIR` set (as the Makefile does), the folder is written into the binary's
//! run path; the self-contained build (`bundled`) needs nothing.

#[expect(clippy::disallowed_methods, reason = "a build script has no other way to be told")]
fn main() {
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    println!("cargo::rerun-if-changed=build.rs");
    let bundled = std::env::var_os("CARGO_FEATURE_BUNDLED").is_some();
    if let (false, Ok(folder)) = (bundled, std::env::var("DUCKDB_LIB_DIR")) {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
