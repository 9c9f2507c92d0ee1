//! Prints one table of measured ratios: ours, a peer, the limit and the goal, all from this run.

mod core;
mod ithiltir;
mod memory;
mod node_red;
mod nodepass;
#[path = "../../ithiltir-proto/benches/plain/mod.rs"]
mod plain;
mod row;
#[path = "../../ithiltir-proto/benches/subjects/mod.rs"]
mod subjects;
mod teeth;

use clap::{Parser, ValueEnum};
use row::Row;

/// Measures; does not judge: exit 0 also when a goal is missed.
#[derive(Parser)]
struct Arguments {
    /// Print rows as JSON lines.
    #[arg(long)]
    json: bool,
    /// Measure one protocol only.
    #[arg(long)]
    only: Option<Protocol>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// Core's private node routes
    Core,
    /// Ithiltir node reports
    Ithiltir,
    /// The NodePass API
    #[value(name = "nodepass")]
    NodePass,
    /// Node-RED comms
    NodeRed,
    /// The teeth-agent line protocol
    Teeth,
}

fn main() {
    let arguments = Arguments::parse();
    if cfg!(debug_assertions) {
        eprintln!("note: this is no release build; the figures say little");
    }
    let rows = match arguments.only {
        Some(Protocol::Core) => core::rows(),
        Some(Protocol::Ithiltir) => ithiltir::rows(),
        Some(Protocol::NodePass) => nodepass::rows(),
        Some(Protocol::NodeRed) => node_red::rows(),
        Some(Protocol::Teeth) => teeth::rows(),
        None => [core::rows(), ithiltir::rows(), nodepass::rows(), node_red::rows(), teeth::rows()].concat(),
    };
    if !arguments.json {
        println!("{}", Row::HEADING);
    }
    for row in rows {
        println!("{}", if arguments.json { row.json() } else { row.line() });
    }
}
