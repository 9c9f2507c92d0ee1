//! Our programs against real and foreign peers: `cargo xtask interop PEER`.
//!
//! The peers and the checks are in `examples/interop`. What is installed for them goes into the target folder.

use crate::process::{self, End};
use crate::root;
use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Whose peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Peer {
    /// A real Node-RED from npm, and an editor's side on Node.js; takes Node.js 20 or later and npm
    NodeRed,
}

/// How long installing and checking may take together.
const LIMIT: Duration = Duration::from_secs(300);
/// How long building the programs may take before, cold.
const BUILD_LIMIT: Duration = Duration::from_secs(480);

/// Runs the checks against a peer, or the parts of them that are named; says whether all went well. Whatever still runs
/// when the time is over is ended.
///
/// # Errors
/// A peer cannot be had, or the time was too short.
pub fn run(peer: Peer, parts: &[String]) -> anyhow::Result<bool> {
    match peer {
        Peer::NodeRed => node_red(parts),
    }
}

fn node_red(parts: &[String]) -> anyhow::Result<bool> {
    let scripts = root().join("examples/interop/node-red");
    let binaries = binaries("node-red-example")?;
    let begin = Instant::now();
    let left = || LIMIT.saturating_sub(begin.elapsed());
    let folder = target_folder()?.join("interop/node-red");
    install(&scripts.join("package.json"), &folder, left())?;
    let work = folder.join("work");
    if work.exists() {
        std::fs::remove_dir_all(&work)?;
    }
    std::fs::create_dir_all(&work)?;
    let mut command = Command::new("node");
    command.arg(scripts.join("run.js")).args(parts).stdin(Stdio::null());
    command.env("NODE_RED_DIR", &folder).env("INTEROP_BINARIES", binaries).env("INTEROP_WORK", work);
    match process::run(command, left()).context("node cannot be started")? {
        End::Well => Ok(true),
        End::Badly => Ok(false),
        End::OutOfTime => bail!("the checks took longer than {LIMIT:?}, and were ended"),
    }
}

/// Installs what a `package.json` names into a folder, once for each content of the file.
fn install(package: &Path, folder: &Path, limit: Duration) -> anyhow::Result<()> {
    let wanted = std::fs::read_to_string(package).context("no package.json")?;
    let done = folder.join("installed.json");
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("package.json"), &wanted)?;
    println!("npm install in {}", folder.display());
    let mut command = Command::new("npm");
    command.args(["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]);
    command.current_dir(folder).stdin(Stdio::null());
    let end = process::run(command, limit).context("npm cannot be started: install Node.js 20 or later")?;
    ensure!(end == End::Well, "npm cannot install the peers ({end:?}): NOTHING WAS CHECKED AGAINST THEM");
    Ok(std::fs::write(done, wanted)?)
}

/// Builds the programs of a package and returns their folder.
fn binaries(package: &str) -> anyhow::Result<PathBuf> {
    let end =
        process::run(process::cargo(&["build", "--quiet", "--package", package, "--bins"]), BUILD_LIMIT)?;
    ensure!(end == End::Well, "{package} does not build ({end:?})");
    Ok(target_folder()?.join("debug"))
}

fn target_folder() -> anyhow::Result<PathBuf> {
    let arguments = ["metadata", "--no-deps", "--format-version", "1", "--quiet"];
    let (end, text) = process::read(process::cargo(&arguments), Duration::from_secs(60))?;
    ensure!(end == End::Well, "cargo metadata: {text}");
    let document: Value = serde_json::from_str(&text).context("cargo metadata wrote no JSON")?;
    let folder = document["target_directory"].as_str().context("cargo metadata without a target folder")?;
    Ok(folder.into())
}
