//! The command line: arguments, results and exit codes. Results go to stdout, everything else to
//! stderr.

mod args;
mod changes;
mod compact;
mod context;
mod dbt;
mod deliver;
mod demo;
mod doctor;
mod gate;
mod init;
mod man;
mod metrics;
mod plan;
mod ready;
mod reconcile;
mod replay;
mod report;
mod schedule;
mod schema;
mod simulate;
mod status;
mod sync;
mod table;
mod verify;

use std::process::ExitCode;

use clap::Parser;

pub use crate::failure::{Exit, Failure};
use args::{Arguments, Command};
use context::Context;

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Few blocking threads: each has memory of its own, and the disk is the limit.
        .max_blocking_threads(4)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure =
                Failure::new(Exit::Bug, anyhow::Error::new(error).context("failed to start"));
            failure.print(false);
            return Exit::Bug.into();
        }
    };
    let colour = context::stderr_has_colour();
    let exit = match runtime.block_on(run(arguments)) {
        Ok(exit) => exit,
        Err(failure) => {
            failure.print(colour);
            failure.exit
        }
    };
    // Do not wait for tasks that still wait for the network.
    runtime.shutdown_background();
    exit.into()
}

fn usage(error: &clap::Error) -> ExitCode {
    // Help and version go to stdout and are not failures; clap prints each to the right stream.
    // Ignore a closed pipe.
    let _closed = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}

async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let context = Context::new(&arguments.global)?;
    match arguments.command {
        Command::Sync(arguments) => Box::pin(sync::run(&context, &arguments)).await,
        Command::Plan(arguments) => plan::run(&context, &arguments).await,
        Command::Reconcile(arguments) => Box::pin(reconcile::run(&context, &arguments)).await,
        Command::Schedule(arguments) => Box::pin(schedule::run(&context, &arguments)).await,
        Command::Ready(arguments) => ready::run(&context, &arguments).await,
        Command::Doctor(arguments) => doctor::run(&context, &arguments).await,
        Command::Status(arguments) => status::run(&context, &arguments).await,
        Command::Report(arguments) => report::run(&context, &arguments).await,
        Command::Schema(arguments) => schema::run(&context, &arguments).await,
        Command::Changes(arguments) => changes::run(&context, &arguments).await,
        Command::Deliver(arguments) => deliver::run(&context, &arguments).await,
        Command::Replay(arguments) => replay::run(&context, &arguments).await,
        Command::Compact(arguments) => compact::run(&context, &arguments).await,
        Command::Verify(arguments) => verify::run(&context, &arguments).await,
        Command::Gate(arguments) => Box::pin(gate::run(&context, &arguments)).await,
        Command::Init(arguments) => init::run(&context, &arguments),
        Command::Simulate(arguments) => simulate::run(&context, &arguments).await,
        Command::Demo(arguments) => Box::pin(demo::run(&context, &arguments)).await,
        Command::Completions { shell } => man::completions(shell),
        Command::Man { command } => man::man(command.as_deref()),
    }
}
