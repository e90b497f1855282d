//! The executable. All code is in the library.

use std::process::ExitCode;

/// The C library's allocator keeps memory after a chunk of runs is freed; jemalloc returns it to
/// the system, as set in `.cargo/config.toml`.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    armature_export::cli::main()
}
