//! The crates as strangers get them: packaged one by one, unpacked beside `examples/users` in a folder with a workspace of its
//! own, and used there by a program with a runtime, one without, and one in WebAssembly: `cargo xtask users`.

mod folder;

use crate::process::{self, End};
use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use folder::Folder;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What a user builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Kind {
    /// A program over tokio
    Tokio,
    /// A program over the standard library alone
    Plain,
    /// A library for wasm32-unknown-unknown, run by Node.js
    Wasm,
}

/// A crate, and its folder in `examples/users`.
pub(crate) const USERS: [(&str, &str); 5] = [
    ("core-node-proto", "core"),
    ("ithiltir-proto", "ithiltir"),
    ("nodepass-api", "nodepass"),
    ("nodered-comms", "node-red"),
    ("teeth-proto", "teeth"),
];
const WASM: &str = "wasm32-unknown-unknown";
/// All of it, cold.
const LIMIT: Duration = Duration::from_secs(20 * 60);
/// A user has this long for its exchange.
const RUN_LIMIT: Duration = Duration::from_secs(30);

/// Builds and runs the users of these kinds, or of all; says whether all of them went well.
///
/// # Errors
/// A crate cannot be packaged, or `bindgen` does not build.
pub fn run(kinds: &[Kind], only: Option<&str>) -> anyhow::Result<bool> {
    let begin = Instant::now();
    let kinds = if kinds.is_empty() { Kind::value_variants() } else { kinds };
    let wanted: Vec<_> =
        USERS.into_iter().filter(|(package, _)| only.is_none_or(|only| only == *package)).collect();
    ensure!(!wanted.is_empty(), "no such crate; there are {}", USERS.map(|(package, _)| package).join(", "));
    let folder = Folder::prepare(LIMIT)?;
    if kinds.contains(&Kind::Wasm) {
        folder.build(&["--package", "bindgen"], left(begin)).context("what makes a module for Node.js")?;
    }
    let (mut passed, mut failed) = (0, 0);
    for (package, user) in wanted {
        for kind in kinds {
            let start = Instant::now();
            let outcome = drive(&folder, user, *kind, left(begin));
            let (verdict, told) = match outcome {
                Ok(told) => ("ok", told),
                Err(error) => ("FAILED", format!("{error:#}")),
            };
            *(if verdict == "ok" { &mut passed } else { &mut failed }) += 1;
            let kind = format!("{kind:?}").to_lowercase();
            println!("{package:16} {kind:6} {verdict:7} {:4.1} s  {told}", start.elapsed().as_secs_f64());
        }
    }
    println!("{passed} users passed, {failed} failed");
    Ok(failed == 0)
}

/// Builds one user and runs it; returns the last line that it writes.
fn drive(folder: &Folder, user: &str, kind: Kind, limit: Duration) -> anyhow::Result<String> {
    let package = format!("{user}-user");
    let (program, plain) = (format!("{user}-tokio"), format!("{user}-plain"));
    let name = if cfg!(windows) { ".exe" } else { "" };
    let command = match kind {
        Kind::Tokio => {
            folder.build(&["--package", &package, "--example", &program], limit)?;
            Command::new(folder.built("examples").join(program + name))
        }
        Kind::Plain => {
            folder.build(&["--package", &package, "--bin", &plain], limit)?;
            Command::new(folder.built("").join(plain + name))
        }
        Kind::Wasm => {
            folder.build(&["--package", &package, "--lib", "--target", WASM], limit)?;
            module(folder, user)?
        }
    };
    let text = finish(command, RUN_LIMIT)?;
    Ok(text.trim_end().lines().last().unwrap_or_default().to_owned())
}

/// Makes a module of a library; returns the command that runs it.
fn module(folder: &Folder, user: &str) -> anyhow::Result<Command> {
    let library =
        folder.target().join(WASM).join("debug").join(format!("{}_wasm.wasm", user.replace('-', "_")));
    let made = folder.path().join("modules").join(user);
    let mut bindgen = Command::new(folder.built("").join("bindgen"));
    bindgen.arg(library).arg(&made);
    finish(bindgen, RUN_LIMIT)?;
    let mut node = Command::new("node");
    node.arg(folder.path().join("run.cjs")).arg(made);
    Ok(node)
}

/// Runs a command to its end; returns what it writes.
fn finish(command: Command, limit: Duration) -> anyhow::Result<String> {
    let shown = command.get_program().display().to_string();
    match process::read(command, limit).with_context(|| format!("{shown} cannot be started"))? {
        (End::Well, text) => Ok(text),
        (End::OutOfTime, text) => anyhow::bail!("{shown} took longer than {limit:?}, and was ended\n{text}"),
        (_, text) => anyhow::bail!("{shown}\n{text}"),
    }
}

fn left(begin: Instant) -> Duration {
    LIMIT.saturating_sub(begin.elapsed())
}

/// Returns the source files of the users, which are in no package of this workspace, for `rustfmt`.
pub(crate) fn sources() -> anyhow::Result<Vec<std::path::PathBuf>> {
    let is_source = |path: &Path| path.extension().is_some_and(|extension| extension == "rs");
    let files = folder::files(&folder::templates())?;
    Ok(files.into_iter().filter(|path| is_source(path)).collect())
}
