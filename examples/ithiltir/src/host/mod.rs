//! This host, as a node reports it.
//!
//! On Linux the figures come from `/proc` and `/sys`; every file has a pure parser and a thin reader, and a file that
//! is missing or odd yields zeros or a status, never an error. Elsewhere `sysinfo` gives the figures it knows.

mod disk;
mod figures;
mod network;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux::Collector;

#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable::Collector;

use ithiltir_proto::wire::{NodeReport, Static, Timestamp};
use std::time::{Duration, SystemTime};

const UNKNOWN: &str = "unknown";

/// Samples this host. Keeps the previous counters so that rates can be computed.
#[derive(Debug)]
pub struct Host {
    version: String,
    hostname: String,
    collector: Collector,
}

impl Host {
    /// Returns the sampler of a node of `version`. The host's name is read here, once.
    #[must_use]
    pub fn new(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            hostname: or_unknown(Collector::hostname()),
            collector: Collector::new(),
        }
    }

    /// Takes a sample. Rates and shares of time are those since the previous sample, and 0 in the first.
    pub fn sample(&mut self) -> NodeReport {
        NodeReport {
            version: self.version.clone(),
            hostname: self.hostname.clone(),
            timestamp: now(),
            metrics: self.collector.snapshot(),
        }
    }

    /// Returns what changes rarely. `interval` is the time between reports.
    pub fn statics(&mut self, interval: Duration) -> Static {
        let mut statics = self.collector.statics();
        statics.version.clone_from(&self.version);
        statics.timestamp = now();
        statics.report_interval_seconds = whole_seconds_up(interval);
        let system = &mut statics.system;
        system.hostname.clone_from(&self.hostname);
        system.os = go_system(std::env::consts::OS).to_owned();
        system.arch = go_architecture(std::env::consts::ARCH).to_owned();
        // The Dash refuses a Static with a blank name, and the node would then send it again for ever.
        for name in [&mut system.platform, &mut system.platform_version, &mut system.kernel_version] {
            *name = or_unknown(std::mem::take(name));
        }
        statics
    }
}

fn now() -> Timestamp {
    Timestamp::from_system_time(SystemTime::now())
}

fn or_unknown(text: String) -> String {
    match text.trim() {
        "" => UNKNOWN.to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

/// Returns at least 1, because a Static with the interval 0 cannot be sent.
fn whole_seconds_up(interval: Duration) -> i64 {
    let seconds = interval.as_secs().saturating_add(u64::from(interval.subsec_nanos() > 0));
    i64::try_from(seconds).unwrap_or(i64::MAX).max(1)
}

fn go_system(name: &str) -> &str {
    match name {
        "macos" => "darwin",
        other => other,
    }
}

fn go_architecture(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "loongarch64" => "loong64",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "powerpc64" => "ppc64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ithiltir_proto::wire::{decode, encode};

    fn all_figures_are_sane(report: &NodeReport) -> bool {
        let (metrics, disk) = (&report.metrics, &report.metrics.disk);
        let shares = [metrics.cpu.usage_ratio, metrics.memory.used_ratio, metrics.memory.swap_used_ratio];
        let logical = disk.logical.iter().map(|unit| unit.used_ratio);
        let inodes = disk.filesystems.iter().map(|filesystem| filesystem.inodes_used_ratio);
        let busy = disk.physical.iter().map(|unit| unit.util_ratio);
        shares.into_iter().chain(logical).chain(inodes).chain(busy).all(|share| (0.0..=1.0).contains(&share))
    }

    #[test]
    fn a_sample_of_this_host_survives_the_wire() {
        let mut host = Host::new("0.2.3");
        let first = host.sample();
        assert!(first.metrics.disk.physical.iter().all(|disk| disk.iops == 0.0));
        std::thread::sleep(Duration::from_millis(30));
        let report = host.sample();
        assert_eq!(decode::<NodeReport>(&encode(&report)).unwrap(), report);
        assert!(all_figures_are_sane(&report), "{report:?}");
        assert!(report.metrics.memory.available > 0);
        assert!(report.metrics.system.uptime_seconds > 0);
        assert!(report.metrics.processes.process_count > 0);
        assert!(report.timestamp >= first.timestamp);
    }

    #[test]
    fn the_statics_of_this_host_are_complete() {
        let mut host = Host::new("0.2.3");
        let statics = host.statics(Duration::from_millis(2500));
        assert_eq!(decode::<Static>(&encode(&statics)).unwrap(), statics);
        assert_eq!(statics.report_interval_seconds, 3);
        assert!(statics.missing_to_publish().is_empty());
        assert!(statics.missing_to_complete().is_empty(), "{statics:?}");
        assert_eq!(host.statics(Duration::from_secs(3)).fingerprint(), statics.fingerprint());
    }

    #[test]
    fn an_interval_is_rounded_up_and_never_zero() {
        assert_eq!(whole_seconds_up(Duration::ZERO), 1);
        assert_eq!(whole_seconds_up(Duration::from_nanos(3_000_000_001)), 4);
        assert_eq!(whole_seconds_up(Duration::MAX), i64::MAX);
    }

    #[test]
    fn names_are_those_of_go() {
        assert_eq!([go_system("macos"), go_system("linux")], ["darwin", "linux"]);
        assert_eq!(
            ["x86_64", "x86", "aarch64", "arm"].map(go_architecture),
            ["amd64", "386", "arm64", "arm"]
        );
        assert_eq!(or_unknown(" \n".to_owned()), "unknown");
        assert_eq!(or_unknown("vm\n".to_owned()), "vm");
    }
}
