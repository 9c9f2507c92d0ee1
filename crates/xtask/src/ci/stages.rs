//! The stages and their budgets. Together with the tests they stay below an hour on two cores, cold.

use super::{Extent, checks, protocol_crates};
use crate::{process, users};
use std::process::Command;
use std::time::Duration;

/// A stage of CI.
pub(super) struct Stage {
    pub(super) name: &'static str,
    /// The smallest extent that it belongs to.
    pub(super) from: Extent,
    pub(super) budget: Duration,
    pub(super) work: Work,
}

/// What a stage does.
pub(super) enum Work {
    /// Runs these, one after the other.
    Commands(fn() -> anyhow::Result<Vec<Command>>),
    /// Looks at something; is told how much time is left.
    Check(fn(&dyn Fn() -> Duration) -> anyhow::Result<()>),
}

pub(super) fn all() -> Vec<Stage> {
    let stage = |name, from, minutes: u64, work| {
        let budget = Duration::from_secs(60 * minutes);
        Stage { name, from, budget, work }
    };
    vec![
        stage("fmt", Extent::Quick, 1, Work::Commands(fmt)),
        stage("clippy", Extent::Quick, 12, Work::Commands(|| Ok(clippy()))),
        stage("purity", Extent::Quick, 2, Work::Check(checks::purity)),
        stage("docs", Extent::Full, 8, Work::Commands(|| Ok(docs()))),
        stage("features", Extent::Full, 5, Work::Commands(features)),
        stage("wasm", Extent::Full, 3, Work::Commands(|| Ok(wasm()))),
        stage("seeds", Extent::Full, 1, Work::Check(checks::seeds)),
        stage("package", Extent::Full, 1, Work::Check(checks::package)),
        stage("users", Extent::Full, 10, Work::Check(checks::users)),
        stage("interop", Extent::Full, 20, Work::Check(checks::interop)),
        stage("attack", Extent::Full, 15, Work::Check(checks::attack)),
        stage("long-attack", Extent::Nightly, 25, Work::Check(checks::long_attack)),
        stage("simulation", Extent::Nightly, 40, Work::Commands(|| Ok(vec![simulation()]))),
        stage("wasm-users", Extent::Nightly, 15, Work::Check(checks::wasm_users)),
        stage("fuzz", Extent::Nightly, 30, Work::Check(checks::fuzz)),
    ]
}

pub(super) fn names() -> Vec<&'static str> {
    all().iter().map(|stage| stage.name).collect()
}

fn cargo(arguments: &[&str]) -> Command {
    process::cargo(arguments)
}

/// Those of `examples/users` are in no package of this workspace.
fn fmt() -> anyhow::Result<Vec<Command>> {
    let mut users = Command::new("rustfmt");
    users.current_dir(crate::root()).args(["--check", "--edition", "2024"]).args(users::sources()?);
    Ok(vec![cargo(&["fmt", "--all", "--check"]), users])
}

/// The fuzz crate goes apart: with all features it compiles libFuzzer, which takes a C++ compiler.
fn clippy() -> Vec<Command> {
    let deny = ["--", "-D", "warnings"];
    let all = ["clippy", "--workspace", "--exclude", "fuzz", "--all-targets", "--all-features"];
    let fuzz = ["clippy", "--package", "fuzz", "--all-targets"];
    vec![cargo(&[&all[..], &deny].concat()), cargo(&[&fuzz[..], &deny].concat())]
}

fn docs() -> Vec<Command> {
    let all = ["doc", "--workspace", "--exclude", "fuzz", "--no-deps", "--all-features"];
    let mut commands = vec![cargo(&all), cargo(&["doc", "--package", "fuzz", "--no-deps"])];
    commands.iter_mut().for_each(|command| _ = command.env("RUSTDOCFLAGS", "-Dwarnings"));
    commands
}

/// None, all, and every feature by itself.
fn features() -> anyhow::Result<Vec<Command>> {
    let mut commands = Vec::new();
    for name in protocol_crates() {
        let check = ["check", "--quiet", "--package", name];
        commands.push(cargo(&[&check[..], &["--no-default-features"]].concat()));
        commands.push(cargo(&[&check[..], &["--all-features"]].concat()));
        for feature in checks::features(name)? {
            commands.push(cargo(&[&check[..], &["--no-default-features", "--features", &feature]].concat()));
        }
    }
    commands.iter_mut().for_each(|command| _ = command.env("RUSTFLAGS", "-Dwarnings"));
    Ok(commands)
}

/// Many more lives of the simulation than the tests have, at the speed of a release.
fn simulation() -> Command {
    let test =
        ["test", "--release", "--package", "core-node-proto", "--test", "simulation", "--", "--nocapture"];
    let mut command = cargo(&test);
    command.env("SIMULATION_SEEDS", "100000");
    command
}

fn wasm() -> Vec<Command> {
    let check = |name| cargo(&["check", "--package", name, "--target", "wasm32-unknown-unknown"]);
    protocol_crates().map(check).collect()
}
