//! Running the fuzz targets: `cargo xtask fuzz [--seconds N] [TARGET…]`.

use crate::process::{self, End};
use crate::root;
use anyhow::{Context as _, ensure};
use std::process::Command;
use std::time::Duration;

/// A cold build of a target with its instrumentation.
const BUILD_TIME: Duration = Duration::from_secs(15 * 60);

/// Searches with the targets one after the other, all of them if none is named; says whether nothing was found.
///
/// # Errors
/// A target is unknown, or cargo-fuzz cannot be started.
pub fn run(seconds: u64, names: &[String]) -> anyhow::Result<bool> {
    let known = targets()?;
    for name in names {
        ensure!(known.contains(name), "no fuzz target {name:?}; there are {}", known.join(", "));
    }
    ensure!(is_possible(), "cargo-fuzz or a nightly toolchain is missing: cargo install cargo-fuzz");
    let mut well = true;
    for name in if names.is_empty() { &known } else { names } {
        well &= search(name, seconds, BUILD_TIME + Duration::from_secs(seconds + 60))?;
    }
    Ok(well)
}

/// Returns the names of all targets.
pub(crate) fn targets() -> anyhow::Result<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("no {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Whether cargo-fuzz and a nightly toolchain are at hand.
pub(crate) fn is_possible() -> bool {
    let limit = Duration::from_secs(60);
    matches!(process::read(nightly(&["fuzz", "--version"]), limit), Ok((End::Well, _)))
}

/// Searches with one target, starting from its seeds; says whether nothing was found.
pub(crate) fn search(name: &str, seconds: u64, limit: Duration) -> anyhow::Result<bool> {
    let (corpus, seeds) = (format!("fuzz/corpus/{name}"), format!("fuzz/seeds/{name}"));
    std::fs::create_dir_all(root().join(&corpus))?;
    let time = format!("-max_total_time={seconds}");
    let search =
        ["fuzz", "run", "--features", "libfuzzer", name, &corpus, &seeds, "--", &time, "-timeout=10"];
    let (end, text) = process::read(nightly(&search), limit)?;
    println!("{name}: {}", summary(&text));
    if end != End::Well {
        let lines: Vec<_> = text.lines().collect();
        println!("{}", lines[lines.len().saturating_sub(40)..].join("\n"));
    }
    Ok(end == End::Well)
}

/// Picks libFuzzer's last word on coverage and on the number of runs.
fn summary(text: &str) -> String {
    let last = |mark: &str| text.lines().rfind(|line| line.contains(mark)).unwrap_or_default();
    let (coverage, done) = (last(" cov: "), last("Done "));
    let coverage = coverage.split_whitespace().skip_while(|word| *word != "cov:").take(6);
    let coverage = coverage.collect::<Vec<_>>().join(" ");
    if done.is_empty() { format!("stopped early, {coverage}") } else { format!("{done}, {coverage}") }
}

/// The toolchain that runs this program stands in the environment and would win.
fn nightly(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).args(arguments).current_dir(root());
    command.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTDOC").env_remove("RUSTUP_TOOLCHAIN");
    command.stdin(std::process::Stdio::null());
    command
}
