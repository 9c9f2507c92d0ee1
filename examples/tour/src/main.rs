//! Runs both roles of every protocol in one process, over real loopback sockets, with this machine's real data.

mod board;
mod core;
mod ithiltir;
mod node_red;
mod nodepass;
mod teeth;

use board::{Board, Look, Row};
use clap::{Parser, ValueEnum};
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

/// Everything has to be over by then, so that the tour ends within 20 s.
const LIMIT: Duration = Duration::from_secs(19);

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
    /// Core's private node routes
    Core,
    /// NodePass instances
    #[value(name = "nodepass")]
    NodePass,
    /// teeth-agent commands and tasks
    Teeth,
    /// Node-RED comms
    NodeRed,
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
    // Side by side.
    tokio::join!(
        async {
            if wanted(Protocol::Ithiltir) {
                let row = board.row("ithiltir", &ithiltir::STEPS, ithiltir::PROFILE);
                run(&row, ithiltir::tour(&row)).await;
            }
        },
        async {
            if wanted(Protocol::Core) {
                let row = board.row("core", &core::STEPS, core::PROFILE);
                run(&row, core::tour(&row)).await;
            }
        },
        async {
            if wanted(Protocol::NodePass) {
                let row = board.row("nodepass", &nodepass::STEPS, nodepass::PROFILE);
                run(&row, nodepass::tour(&row)).await;
            }
        },
        async {
            if wanted(Protocol::Teeth) {
                let row = board.row("teeth", &teeth::STEPS, teeth::PROFILE);
                run(&row, teeth::tour(&row)).await;
            }
        },
        async {
            if wanted(Protocol::NodeRed) {
                let row = board.row("node-red", &node_red::STEPS, node_red::PROFILE);
                run(&row, node_red::tour(&row)).await;
            }
        },
    );
    if board.summary() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

async fn run(row: &Row, tour: impl Future<Output = Result<(), String>>) {
    let outcome = tokio::time::timeout(LIMIT, tour).await;
    row.end(outcome.unwrap_or_else(|_| Err("it took too long".to_owned())));
}
