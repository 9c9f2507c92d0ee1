//! Runs both roles of every protocol in one process, over real loopback sockets, with this machine's real data.

mod board;
mod ithiltir;

use board::{Board, Look};
use clap::{Parser, ValueEnum};
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

/// Everything has to be over by then.
const LIMIT: Duration = Duration::from_secs(20);

/// Shows every protocol at work: both roles in this process, over loopback, one side killed and restarted.
///
///   cargo run --bin tour
///   cargo run --bin tour -- --json --only ithiltir
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// Print the steps as JSON lines.
    #[arg(long)]
    json: bool,
    /// Show one protocol only.
    #[arg(long)]
    only: Option<Protocol>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// Ithiltir node reports
    Ithiltir,
}

#[tokio::main]
async fn main() -> ExitCode {
    program::init_diagnostics();
    let arguments = Arguments::parse();
    let look = match (arguments.json, std::io::stdout().is_terminal()) {
        (true, _) => Look::Json,
        (false, true) => Look::Live,
        (false, false) => Look::Lines,
    };
    let board = Board::new(look);
    let wanted = |protocol| arguments.only.is_none_or(|only| only == protocol);
    if wanted(Protocol::Ithiltir) {
        let row = board.row("ithiltir", &ithiltir::STEPS, ithiltir::PROFILE);
        let tour = tokio::time::timeout(LIMIT, ithiltir::tour(&row)).await;
        row.end(tour.unwrap_or_else(|_| Err("it took too long".to_owned())));
    }
    if board.summary() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
