//! The program. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    armature_export::cli::main()
}
