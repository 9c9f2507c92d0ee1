//! Stages that look at something instead of running a tool.

use super::protocol_crates;
use crate::interop::{self, Peer};
use crate::process::{self, End};
use crate::users::{self, Kind};
use crate::{attack, fuzz, root};
use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

/// What a crate without input and output does not need.
const IMPURE: [&str; 18] = [
    "async-std",
    "curl",
    "env_logger",
    "futures",
    "hyper",
    "log",
    "mio",
    "native-tls",
    "openssl",
    "rand",
    "reqwest",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "tracing",
    "tungstenite",
    "ureq",
];

/// More packages than this, macros included, and a protocol crate is no light dependency any more.
const MOST_PACKAGES: usize = 48;
/// The one feature that may bring a runtime in: stubs for a gRPC library.
const STUBS: &str = "grpc";
/// A seed is for reading, too.
const LARGEST_SEED: u64 = 4096;
const FEWEST_SEEDS: usize = 10;

type Left<'a> = &'a dyn Fn() -> Duration;

/// No protocol crate depends on anything that reads, writes, waits or logs.
pub(super) fn purity(left: Left<'_>) -> anyhow::Result<()> {
    for name in protocol_crates() {
        let tree = |more: &[&str]| {
            let tree = ["tree", "--edges", "normal", "--package", name, "--prefix", "none"];
            let text = read(process::cargo(&[&tree[..], more].concat()), left)?;
            let packages = text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned);
            Ok::<BTreeSet<_>, anyhow::Error>(packages.filter(|name| !name.is_empty()).collect())
        };
        let pure = features(name)?.into_iter().filter(|feature| feature != STUBS);
        let (default, all) = (
            tree(&[])?,
            tree(&["--no-default-features", "--features", &pure.collect::<Vec<_>>().join(",")])?,
        );
        let impure: Vec<_> = all.iter().filter(|package| IMPURE.contains(&package.as_str())).collect();
        ensure!(impure.is_empty(), "{name} depends on {impure:?}");
        ensure!(default.len() <= MOST_PACKAGES, "{name} brings {} packages", default.len());
        println!("    {name}: {} packages, {} with all features but {STUBS}", default.len(), all.len());
    }
    Ok(())
}

/// Every fuzz target has seeds. `cargo test --workspace` has replayed them.
pub(super) fn seeds(_left: Left<'_>) -> anyhow::Result<()> {
    for target in fuzz::targets()? {
        let folder = root().join("fuzz/seeds").join(&target);
        let sizes: Vec<u64> = std::fs::read_dir(&folder)
            .with_context(|| format!("{target} has no folder of seeds"))?
            .map(|entry| Ok(entry?.metadata()?.len()))
            .collect::<std::io::Result<_>>()?;
        ensure!(sizes.len() >= FEWEST_SEEDS, "{target} has {} seeds", sizes.len());
        ensure!(sizes.iter().all(|&size| size <= LARGEST_SEED), "a seed of {target} is too large");
        println!("    {target}: {} seeds, replayed by cargo test --workspace", sizes.len());
    }
    Ok(())
}

/// A packaged crate holds what its user needs, and depends on nothing of this workspace that is not published.
pub(super) fn package(left: Left<'_>) -> anyhow::Result<()> {
    for name in protocol_crates() {
        let list = ["package", "--package", name, "--no-verify", "--list", "--allow-dirty", "--quiet"];
        let list = read(process::cargo(&list), left)?;
        let files: Vec<_> = list.lines().map(|line| line.replace('\\', "/")).collect();
        for needed in ["Cargo.toml", "README.md", "src/lib.rs"] {
            ensure!(files.iter().any(|file| file == needed), "{name} is packaged without {needed}");
        }
        for recordings in ["tests/captures/", "tests/vectors/"] {
            let there = files.iter().any(|file| file.starts_with(recordings));
            ensure!(!there, "{name} is packaged with {recordings}");
        }
        for dependency in manifest(name)?["dependencies"].as_array().into_iter().flatten() {
            let local = !dependency["path"].is_null() && dependency["req"] == "*";
            ensure!(!local || dependency["kind"] == "dev", "{name} needs {} by path", dependency["name"]);
        }
        println!("    {name}: {} files", files.len());
    }
    Ok(())
}

/// Our programs work with real and foreign peers. What cannot be installed is a failure. Has limits of its own.
pub(super) fn interop(_left: Left<'_>) -> anyhow::Result<()> {
    ensure!(interop::run(Peer::NodeRed, &[])?, "our programs and Node-RED do not agree: see above");
    ensure!(
        interop::run(Peer::Core, &[])?,
        "our programs and the foreign Core and agent do not agree: see above"
    );
    ensure!(interop::run(Peer::Nodepass, &[])?, "our master and its foreign clients do not agree: see above");
    Ok(())
}

/// Our programs outlive hostile peers. Has limits of its own.
pub(super) fn attack(_left: Left<'_>) -> anyhow::Result<()> {
    ensure!(attack::run(false, false, None)?, "a program does not stand its attackers: see above");
    Ok(())
}

/// The same with thousands of connections.
pub(super) fn long_attack(_left: Left<'_>) -> anyhow::Result<()> {
    ensure!(attack::run(true, false, None)?, "a program does not stand its attackers: see above");
    Ok(())
}

/// The packaged crates can be used by programs with a runtime and without. Has limits of its own.
pub(super) fn users(_left: Left<'_>) -> anyhow::Result<()> {
    ensure!(users::run(&[Kind::Tokio, Kind::Plain], None)?, "a packaged crate cannot be used: see above");
    Ok(())
}

/// The same in WebAssembly, run by Node.js.
pub(super) fn wasm_users(_left: Left<'_>) -> anyhow::Result<()> {
    ensure!(users::run(&[Kind::Wasm], None)?, "a packaged crate cannot be used in WebAssembly: see above");
    Ok(())
}

/// Searches with every fuzz target for a minute, where that is possible.
pub(super) fn fuzz(left: Left<'_>) -> anyhow::Result<()> {
    if !fuzz::is_possible() {
        println!("    left out: there is no cargo-fuzz or no nightly toolchain");
        return Ok(());
    }
    for target in fuzz::targets()? {
        ensure!(fuzz::search(&target, 60, left())?, "{target} found something");
    }
    Ok(())
}

/// Returns the features of a crate, `default` left out.
pub(super) fn features(name: &str) -> anyhow::Result<Vec<String>> {
    let manifest = manifest(name)?;
    let features = manifest["features"].as_object().into_iter().flat_map(|features| features.keys());
    Ok(features.filter(|feature| *feature != "default").cloned().collect())
}

/// Returns what cargo knows about a package of the workspace.
pub(crate) fn manifest(name: &str) -> anyhow::Result<Value> {
    let arguments = ["metadata", "--no-deps", "--format-version", "1", "--quiet"];
    let text = read(process::cargo(&arguments), &|| Duration::from_secs(60))?;
    let document: Value = serde_json::from_str(&text).context("cargo metadata wrote no JSON")?;
    let packages = document["packages"].as_array();
    let found = packages.into_iter().flatten().find(|package| package["name"] == name);
    found.cloned().with_context(|| format!("no package {name}"))
}

fn read(command: Command, left: Left<'_>) -> anyhow::Result<String> {
    let shown = format!("{command:?}");
    match process::read(command, left())? {
        (End::Well, text) => Ok(text),
        (End::Badly, text) => bail!("{shown}\n{text}"),
        (End::OutOfTime, _) => bail!("over its budget: {shown}"),
    }
}
