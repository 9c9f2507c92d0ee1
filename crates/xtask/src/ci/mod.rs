//! What CI runs, apart from `cargo test --workspace`: stages in order, each with a time budget.
//!
//! The tests already replay the fuzz seeds and run every vector and capture, so that no stage does it again.

mod checks;
mod stages;

pub(crate) use checks::manifest;

use crate::process::{self, End};
use clap::ValueEnum;
use stages::{Stage, Work};
use std::time::Instant;

/// How much to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[non_exhaustive]
pub enum Extent {
    /// Format, clippy, purity
    Quick,
    /// All that a change needs
    Full,
    /// The same, hostile peers by the thousand, the packages in WebAssembly, and every fuzz target for a minute where cargo-fuzz and a nightly toolchain are at hand
    Nightly,
}

/// The crates that are the product. Those that are not there yet are left out.
const PROTOCOL_CRATES: [&str; 5] =
    ["ithiltir-proto", "core-node-proto", "nodepass-api", "teeth-proto", "nodered-comms"];

/// Runs the stages of this extent, or one of them; says whether all went well. The first failure ends it.
///
/// # Errors
/// There is no such stage.
pub fn run(extent: Extent, only: Option<&str>) -> anyhow::Result<bool> {
    let begin = Instant::now();
    let wanted = |stage: &Stage| stage.from <= extent && only.is_none_or(|only| only == stage.name);
    let stages: Vec<_> = stages::all().into_iter().filter(wanted).collect();
    anyhow::ensure!(!stages.is_empty(), "no such stage; there are {}", stages::names().join(", "));
    for stage in stages {
        println!("==> {}", stage.name);
        let start = Instant::now();
        let outcome = carry_out(stage, start);
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("    well, {seconds:.1} s"),
            Err(problem) => {
                println!("    FAILED after {seconds:.1} s: {problem:#}");
                return Ok(false);
            }
        }
    }
    println!("==> all stages went well, {:.0} s", begin.elapsed().as_secs_f64());
    Ok(true)
}

fn carry_out(stage: Stage, start: Instant) -> anyhow::Result<()> {
    let left = || stage.budget.saturating_sub(start.elapsed());
    match stage.work {
        Work::Commands(list) => {
            for command in list()? {
                let shown = format!("{command:?}");
                match process::run(command, left())? {
                    End::Well => {}
                    End::Badly => anyhow::bail!("{shown}"),
                    End::OutOfTime => anyhow::bail!("over its budget of {:?}: {shown}", stage.budget),
                }
            }
            Ok(())
        }
        Work::Check(check) => check(&left),
    }
}

/// Returns the protocol crates that are there.
fn protocol_crates() -> impl Iterator<Item = &'static str> {
    let there = |name: &&str| crate::root().join("crates").join(name).join("Cargo.toml").exists();
    PROTOCOL_CRATES.into_iter().filter(there)
}
