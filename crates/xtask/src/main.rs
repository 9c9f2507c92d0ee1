//! `cargo xtask`: the chores of the workspace.

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use xtask::conformance::{self, Suite};
use xtask::interop::{self, Peer};
use xtask::replay::{self, Protocol};
use xtask::users::{self, Kind};
use xtask::{Tally, attack, ci, fuzz};

/// The chores of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Runs what CI runs, apart from `cargo test --workspace`
    Ci {
        /// How much
        #[arg(default_value = "full")]
        extent: ci::Extent,
        /// One stage of it only
        #[arg(long, value_name = "STAGE")]
        only: Option<String>,
    },
    /// Checks the crates against vectors of the original programs
    ///
    /// cargo xtask conformance ithiltir-urls crates/ithiltir-proto/tests/vectors/ithiltir-urls.json
    Conformance {
        /// The kind of vectors
        suite: Suite,
        /// Vector files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Checks the crates against recordings of the original programs
    ///
    /// cargo xtask replay ithiltir crates/ithiltir-proto/tests/captures/*.jsonl
    Replay {
        /// Whose recordings
        protocol: Protocol,
        /// Recordings
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Measures the crates against their peers and limits (`crates/scoreboard`)
    Scoreboard {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// One protocol only
        #[arg(long, value_name = "PROTOCOL")]
        only: Option<String>,
    },
    /// Runs the fuzz targets; needs cargo-fuzz and a nightly toolchain
    Fuzz {
        /// Time for each target
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Targets; all of them if none is named
        targets: Vec<String>,
    },
    /// Runs our programs against real and foreign peers (`examples/interop`)
    Interop {
        /// Whose
        peer: Peer,
        /// Parts of the checks; all of them if none is named
        parts: Vec<String>,
    },
    /// Attacks our programs with hostile peers (`examples/attack`)
    Attack {
        /// With thousands of connections in the place of hundreds
        #[arg(long)]
        long: bool,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// Only attacks whose program or name holds this
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
    },
    /// Uses the packaged crates from projects outside of the workspace (`examples/users`)
    Users {
        /// One crate only
        #[arg(long, value_name = "CRATE")]
        only: Option<String>,
        /// Which programs; all of them if none is named
        kinds: Vec<Kind>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(chore: Chore) -> anyhow::Result<ExitCode> {
    match chore {
        Chore::Ci { extent, only } => Ok(done(ci::run(extent, only.as_deref())?)),
        Chore::Conformance { suite, files } => {
            count(&files, |file, tally| conformance::run(suite, file, tally))
        }
        Chore::Replay { protocol, files } => count(&files, |file, tally| replay::run(protocol, file, tally)),
        Chore::Scoreboard { json, only } => scoreboard(json, only),
        Chore::Fuzz { seconds, targets } => Ok(done(fuzz::run(seconds, &targets)?)),
        Chore::Interop { peer, parts } => Ok(interop(peer, &parts)),
        Chore::Users { only, kinds } => Ok(done(users::run(&kinds, only.as_deref())?)),
        Chore::Attack { long, json, only } => Ok(done(attack::run(long, json, only.as_deref())?)),
    }
}

fn count(
    files: &[PathBuf],
    mut run: impl FnMut(&PathBuf, &mut Tally) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let mut tally = Tally::default();
    files.iter().try_for_each(|file| run(file, &mut tally))?;
    println!("{tally}");
    Ok(done(tally.failures().is_empty()))
}

/// A peer that cannot be had is a failure, and a loud one: else nobody would notice that nothing was checked.
fn interop(peer: Peer, parts: &[String]) -> ExitCode {
    match interop::run(peer, parts) {
        Ok(well) => done(well),
        Err(error) => {
            eprintln!("cargo xtask interop: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn scoreboard(json: bool, only: Option<String>) -> anyhow::Result<ExitCode> {
    let mut arguments = vec!["run".into(), "--release".into(), "--quiet".into(), "--package".into()];
    arguments.extend(["scoreboard".to_owned(), "--".into()]);
    arguments.extend(json.then(|| "--json".to_owned()));
    arguments.extend(only.iter().flat_map(|only| ["--only".to_owned(), only.clone()]));
    let mut command = xtask::process::cargo(&arguments);
    if only.is_none_or(|only| only == "core") {
        command.envs(interop::measured_cores()?);
    }
    Ok(done(command.status()?.success()))
}

fn done(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
