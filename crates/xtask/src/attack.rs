//! The hostile peers of `examples/attack`, against all programs: `cargo xtask attack`.

use crate::interop::binaries;
use crate::process::{self, End};
use anyhow::bail;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What is attacked, and what attacks.
const PACKAGES: [&str; 6] =
    ["ithiltir-example", "core-example", "nodepass-example", "teeth-example", "node-red-example", "attack"];
/// How long all attacks may take, in the short form and the long one.
const LIMITS: (Duration, Duration) = (Duration::from_secs(180), Duration::from_secs(1200));

/// Builds the programs and attacks them; says whether all attacks went well. Whatever still runs when the time is over is
/// ended.
///
/// # Errors
/// The programs do not build, or the time was too short.
pub fn run(long: bool, json: bool, only: Option<&str>) -> anyhow::Result<bool> {
    let folder = binaries(&PACKAGES)?;
    let mut command = Command::new(folder.join("attack"));
    command.arg("--binaries").arg(&folder).stdin(Stdio::null());
    command.args(long.then_some("--long")).args(json.then_some("--json"));
    command.args(only.into_iter().flat_map(|only| ["--only", only]));
    let limit = if long { LIMITS.1 } else { LIMITS.0 };
    match process::run(command, limit)? {
        End::Well => Ok(true),
        End::Badly => Ok(false),
        End::OutOfTime => bail!("the attacks took longer than {limit:?}, and were ended"),
    }
}
