//! This machine's figures for `/info`, from `/proc`. Elsewhere than on Linux they are unknown: -1 and 0.

mod parse;

pub use parse::{Disk, Memory, Network, Ticks, uptime};

use std::path::Path;
use std::time::Duration;

/// How far apart the two readings are that the share of busy time is taken from.
pub const SAMPLE: Duration = Duration::from_millis(100);

/// What the machine does at the moment, and has done since it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The share of busy time in percent, 0 to 100; -1 where it is unknown.
    pub cpu: i8,
    /// Memory and swap.
    pub memory: Memory,
    /// What went over the network interfaces.
    pub network: Network,
    /// What was read from disks and written to them.
    pub disk: Disk,
    /// Seconds since the machine was started; 0 where unknown.
    pub uptime: u64,
}

impl Figures {
    /// What is said where nothing is known.
    pub const UNKNOWN: Self =
        Self { cpu: -1, memory: Memory::NONE, network: Network::NONE, disk: Disk::NONE, uptime: 0 };
}

/// Reads all figures. Takes [`SAMPLE`] on Linux, and no time elsewhere.
pub async fn sample() -> Figures {
    if !cfg!(target_os = "linux") {
        return Figures::UNKNOWN;
    }
    let before = Ticks::parse(&text("/proc/stat"));
    tokio::time::sleep(SAMPLE).await;
    let now = Ticks::parse(&text("/proc/stat"));
    Figures {
        cpu: Ticks::busy(before, now),
        memory: Memory::parse(&text("/proc/meminfo")),
        network: Network::parse(&text("/proc/net/dev")),
        disk: Disk::parse(&text("/proc/diskstats")),
        uptime: uptime(&text("/proc/uptime")),
    }
}

/// Returns the operating system under the name that masters have for it, such as `linux` or `darwin`.
#[must_use]
pub fn os() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

/// Returns the architecture under the name that masters have for it, such as `amd64` or `arm64`.
#[must_use]
pub fn arch() -> &'static str {
    let is_little = cfg!(target_endian = "little");
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "loongarch64" => "loong64",
        "powerpc64" if is_little => "ppc64le",
        "powerpc64" => "ppc64",
        "mips" if is_little => "mipsle",
        "mips64" if is_little => "mips64le",
        other => other,
    }
}

/// Returns how many processors this program may use; at least 1.
#[must_use]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns what the file holds; nothing where it cannot be read. Files in `/proc` do not block.
fn text(path: &str) -> String {
    let bytes = std::fs::read(Path::new(path)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn this_machine_has_figures() {
        let figures = sample().await;
        assert!((-1..=100).contains(&figures.cpu), "{figures:?}");
        assert!(figures.memory.total > 0 && figures.memory.free <= figures.memory.total, "{figures:?}");
        assert!(figures.uptime > 0 && processors() > 0);
    }

    #[test]
    fn names_are_those_of_masters() {
        assert!(!["macos"].contains(&os()) && !["x86_64", "aarch64", "x86"].contains(&arch()));
    }
}
