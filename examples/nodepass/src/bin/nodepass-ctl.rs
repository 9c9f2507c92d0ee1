//! Controls a NodePass master.

use clap::Parser as _;
use nodepass_example::ctl::arguments::{Arguments, Command};
use nodepass_example::ctl::{commands, watch};
use program::{Printer, fail};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    program::init_diagnostics();
    let arguments = Arguments::parse();
    let end = program::end(arguments.limit);
    let outcome = match &arguments.command {
        Command::Watch(watch) => watch::run(&arguments, watch, end).await,
        _ => tokio::select! {
            outcome = commands::run(&arguments, Printer::new(arguments.json)) => outcome,
            () = end => return fail("the program was ended before there was an answer", "give it more time"),
        },
    };
    outcome.unwrap_or_else(|problem| problem.say())
}
