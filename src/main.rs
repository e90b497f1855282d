//! The program. Everything is in the library.

use std::process::ExitCode;

/// The C library's allocator keeps what a chunk of runs took; this one gives it back, as set in
/// `.cargo/config.toml`.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    armature_export::cli::main()
}
