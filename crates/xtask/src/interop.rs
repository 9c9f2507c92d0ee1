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
    /// A Core on grpc-js and an agent on grpcio against our agent and our Core; takes Node.js 18 or later, npm, and
    /// Python 3.10 or later
    Core,
    /// Validators, schemathesis, curl and a browser's reader against our NodePass master; takes Python 3.10 or later,
    /// curl, and Node.js 20 or later
    Nodepass,
}

/// How long installing and checking may take together.
const LIMIT: Duration = Duration::from_secs(300);
/// Where npm keeps the versions of everything that it installs.
const LOCK: &str = "package-lock.json";
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
        Peer::Core => core(parts),
        Peer::Nodepass => nodepass(parts),
    }
}

fn node_red(parts: &[String]) -> anyhow::Result<bool> {
    let scripts = root().join("examples/interop/node-red");
    let binaries = binaries(&["node-red-example"])?;
    let begin = Instant::now();
    let folder = target_folder()?.join("interop/node-red");
    once(&scripts, &["package.json"], &folder, || install_by_npm(&folder, left(begin)))?;
    let mut command = Command::new("node");
    command.arg(scripts.join("run.js")).env("NODE_RED_DIR", &folder);
    check(command, parts, &binaries, &folder, begin)
}

fn core(parts: &[String]) -> anyhow::Result<bool> {
    let scripts = root().join("examples/interop/core");
    let binaries = binaries(&["core-example"])?;
    let begin = Instant::now();
    let folder = target_folder()?.join("interop/core");
    let (npm, pip) = (folder.join("npm"), folder.join("pip"));
    once(&scripts, &["package.json", LOCK], &npm, || install_by_npm(&npm, left(begin)))?;
    once(&scripts, &["requirements.txt"], &pip, || install_by_pip(&pip, left(begin)))?;
    let mut command = Command::new(python(&pip));
    command.arg("-B").arg(scripts.join("run.py")).env("INTEROP_PACKAGES", &npm);
    check(command, parts, &binaries, &folder, begin)
}

/// Gets our Core and the one on grpc-js ready to be measured: the variables by which the scoreboard finds them.
///
/// # Errors
/// One of them cannot be had.
pub fn measured_cores() -> anyhow::Result<[(&'static str, PathBuf); 2]> {
    let scripts = root().join("examples/interop/core");
    let begin = Instant::now();
    let end = process::run(
        process::cargo(&["build", "--quiet", "--release", "--bin", "core-server"]),
        BUILD_LIMIT,
    )?;
    ensure!(end == End::Well, "core-server does not build ({end:?})");
    let target = target_folder()?;
    let npm = target.join("interop/core/npm");
    once(&scripts, &["package.json", LOCK], &npm, || install_by_npm(&npm, left(begin)))?;
    let peer = npm.join("peer");
    copy(&scripts.join("peer"), &peer)?;
    Ok([("SCOREBOARD_CORE_SERVER", target.join("release/core-server")), ("SCOREBOARD_GRPC_JS", peer)])
}

/// Copies a folder: Node.js looks for packages beside a program.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn nodepass(parts: &[String]) -> anyhow::Result<bool> {
    let scripts = root().join("examples/interop/nodepass");
    let binaries = binaries(&["nodepass-example"])?;
    let begin = Instant::now();
    let folder = target_folder()?.join("interop/nodepass");
    once(&scripts, &["requirements.txt"], &folder, || install_by_pip(&folder, left(begin)))?;
    let mut command = Command::new(python(&folder));
    command.arg("-B").arg(scripts.join("run.py")); // No compiled modules in the source tree.
    check(command, parts, &binaries, &folder, begin)
}

/// Runs the checks with what is installed in a folder, and gives them an empty one to work in.
fn check(
    mut command: Command,
    parts: &[String],
    binaries: &Path,
    folder: &Path,
    begin: Instant,
) -> anyhow::Result<bool> {
    let work = folder.join("work");
    if work.exists() {
        std::fs::remove_dir_all(&work)?;
    }
    std::fs::create_dir_all(&work)?;
    command.args(parts).stdin(Stdio::null());
    command.env("INTEROP_BINARIES", binaries).env("INTEROP_WORK", work);
    let started = format!("{} cannot be started", command.get_program().display());
    match process::run(command, left(begin)).context(started)? {
        End::Well => Ok(true),
        End::Badly => Ok(false),
        End::OutOfTime => bail!("the checks took longer than {LIMIT:?}, and were ended"),
    }
}

fn left(begin: Instant) -> Duration {
    LIMIT.saturating_sub(begin.elapsed())
}

/// Installs what lists of packages name into a folder, which gets copies of them: once for each content of the lists.
fn once(
    scripts: &Path,
    lists: &[&str],
    folder: &Path,
    install: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut wanted = String::new();
    for list in lists {
        let list = scripts.join(list);
        wanted += &std::fs::read_to_string(&list).with_context(|| format!("no {}", list.display()))?;
    }
    let done = folder.join("installed");
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    for list in lists {
        std::fs::copy(scripts.join(list), folder.join(list))?;
    }
    install()?;
    Ok(std::fs::write(done, wanted)?)
}

/// Installs what the `package.json` in a folder names, in the versions of the lock file if there is one.
fn install_by_npm(folder: &Path, limit: Duration) -> anyhow::Result<()> {
    println!("npm install in {}", folder.display());
    let mut command = Command::new("npm");
    let way: &[&str] = if folder.join(LOCK).exists() { &["ci"] } else { &["install", "--no-package-lock"] };
    command.args(way).args(["--no-audit", "--no-fund", "--loglevel=error"]);
    command.current_dir(folder).stdin(Stdio::null());
    let end = process::run(command, limit).context("npm cannot be started: install Node.js 20 or later")?;
    ensure!(end == End::Well, "npm cannot install the peers ({end:?}): NOTHING WAS CHECKED AGAINST THEM");
    Ok(())
}

/// Installs what the `requirements.txt` in a folder names, into an environment of its own.
fn install_by_pip(folder: &Path, limit: Duration) -> anyhow::Result<()> {
    println!("pip install in {}", folder.display());
    let begin = Instant::now();
    let run = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).stdin(Stdio::null());
        let left = limit.saturating_sub(begin.elapsed());
        process::run(command, left)
            .context("Python cannot be started: install Python 3.10 or later, with pip")
    };
    let system = Path::new("python3");
    let inside = python(folder);
    let packages = ["install", "--quiet", "--disable-pip-version-check", "--requirement", "requirements.txt"];
    let end = if run(system, &["-m", "venv", "--clear", "venv"])? == End::Well {
        run(&inside, &[&["-m", "pip"], &packages[..]].concat())?
    } else {
        // Debian keeps what venv takes its pip from in a package of its own; the system's pip does as well.
        run(system, &["-m", "venv", "--clear", "--without-pip", "venv"])?;
        let inside = inside.to_str().context("a target folder whose name is no UTF-8")?;
        run(system, &[&["-m", "pip", "--python", inside], &packages[..]].concat())?
    };
    ensure!(end == End::Well, "pip cannot install the peers ({end:?}): NOTHING WAS CHECKED AGAINST THEM");
    Ok(())
}

/// Returns the interpreter of the environment in a folder.
fn python(folder: &Path) -> PathBuf {
    folder.join(if cfg!(windows) { "venv/Scripts/python.exe" } else { "venv/bin/python" })
}

/// Builds the programs of packages and returns their folder.
pub(crate) fn binaries(packages: &[&str]) -> anyhow::Result<PathBuf> {
    let mut command = process::cargo(&["build", "--quiet", "--bins"]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    let end = process::run(command, BUILD_LIMIT)?;
    ensure!(end == End::Well, "{} do not build ({end:?})", packages.join(", "));
    Ok(target_folder()?.join("debug"))
}

/// Returns the folder of everything that is built.
pub(crate) fn target_folder() -> anyhow::Result<PathBuf> {
    let arguments = ["metadata", "--no-deps", "--format-version", "1", "--quiet"];
    let (end, text) = process::read(process::cargo(&arguments), Duration::from_secs(60))?;
    ensure!(end == End::Well, "cargo metadata: {text}");
    let document: Value = serde_json::from_str(&text).context("cargo metadata wrote no JSON")?;
    let folder = document["target_directory"].as_str().context("cargo metadata without a target folder")?;
    Ok(folder.into())
}
