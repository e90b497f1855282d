//! `make bench`: whole exports of the released program against a static server in this process,
//! beside the bare requests for the same bodies. Writes docs/BENCHMARKS.md's tables.
//!
//! Arguments choose less: sizes (`-- 200`, with small variants of everything else) and scenarios
//! (`-- --only limited`). Such a part is printed, and written nowhere.
//!
//! Figures of one machine and one hour only compare with each other: hence the ratios. Nothing
//! here fails for being slow; an export that is not right does.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot go on panics"
)]
#![expect(clippy::disallowed_methods, reason = "it is about real time, and blocks as it likes")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its result is printed")]
#![expect(clippy::indexing_slicing, reason = "of what the simulator made")]

mod arguments;
mod bare;
mod corpus;
mod exported;
mod figures;
mod known;
mod large;
mod process;
mod report;
mod scenarios;
mod server;
mod simulated;
#[path = "../../tests/support/stores/mod.rs"]
mod stores;
mod template;

use std::path::Path;

use arguments::Arguments;
use scenarios::{Bench, Scenario};

fn main() {
    let arguments = Arguments::read(std::env::args().skip(1));
    armature_export::tls::install();
    let bench = Bench::new(arguments.sizes());
    let chosen = Scenario::ALL.into_iter().filter(|scenario| arguments.takes(*scenario));
    let tables: Vec<String> = chosen
        .flat_map(|scenario| scenario.measure(&bench))
        .map(|table| format!("{table}"))
        .collect();
    let tables = tables.join("\n");
    println!("{tables}");
    if arguments.is_everything() {
        let page = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/BENCHMARKS.md"));
        report::write(page, &tables);
    } else {
        eprintln!("a part only: docs/BENCHMARKS.md stays as it is");
    }
}
