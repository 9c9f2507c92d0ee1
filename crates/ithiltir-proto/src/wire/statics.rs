//! Static information: what a node sends when it starts and when it changes. §1.

use super::json::is_zero;
use super::{BaseIoKind, BaseIoRole, List, LogicalKind, Timestamp, encode, message};
use sha2::{Digest, Sha256};
use std::fmt;

message! {
    /// Static information about a host, the body of `POST …/static`.
    pub struct Static {
        /// The node's version: strict SemVer without `v`.
        pub version: String,
        /// When this was put together, in UTC.
        pub timestamp: Timestamp,
        /// The report interval in seconds, rounded up; above 0.
        pub report_interval_seconds: i64,
        /// The processors.
        pub cpu: StaticCpu,
        /// Memory and swap.
        pub memory: StaticMemory,
        /// Disks and file systems.
        pub disk: StaticDisk,
        /// Names and versions.
        pub system: StaticSystem,
        /// RAID arrays.
        pub raid: StaticRaid,
    }

    /// The processors.
    pub struct StaticCpu {
        /// What they are.
        pub info: StaticCpuInfo,
    }

    /// What the processors are.
    pub struct StaticCpuInfo {
        /// Model name; may be empty.
        pub model_name: String,
        /// Vendor, as in `GenuineIntel`; may be empty.
        pub vendor_id: String,
        /// Sockets.
        pub sockets: i64,
        /// Physical cores.
        pub cores_physical: i64,
        /// Logical cores.
        pub cores_logical: i64,
        /// Clock in MHz; 0 where unknown.
        pub frequency_mhz: f64,
    }

    /// Memory and swap, in bytes.
    pub struct StaticMemory {
        /// Memory.
        pub total: u64,
        /// Swap; 0 where there is none.
        pub swap_total: u64,
    }

    /// Disks and file systems.
    pub struct StaticDisk {
        /// Physical disks.
        pub physical: List<StaticPhysicalDisk>,
        /// Logical disks.
        pub logical: List<StaticLogicalDisk>,
        /// Mounted file systems.
        pub filesystems: List<StaticFilesystem>,
        /// Base units of input and output; empty where the physical disks serve as such.
        pub base_io: List<StaticBaseIo>,
    }

    /// A physical disk.
    pub struct StaticPhysicalDisk {
        /// Device name.
        pub name: String,
        /// Path; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub device_path: String,
        /// Reference, as in `disk:vda`; left out when empty.
        #[serde(rename = "ref", skip_serializing_if = "is_zero")]
        pub reference: String,
    }

    /// A logical disk.
    pub struct StaticLogicalDisk {
        /// What it is.
        pub kind: LogicalKind,
        /// Its name.
        pub name: String,
        /// Path; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub device_path: String,
        /// Reference; left out when empty.
        #[serde(rename = "ref", skip_serializing_if = "is_zero")]
        pub reference: String,
        /// Bytes; left out when 0.
        #[serde(skip_serializing_if = "is_zero")]
        pub total: u64,
        /// Where it is mounted; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub mountpoint: String,
        /// Type of the file system; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub fs_type: String,
        /// The devices it is made of; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub devices: Vec<String>,
    }

    /// A mounted file system.
    pub struct StaticFilesystem {
        /// Where it is mounted.
        pub path: String,
        /// What is mounted; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub device: String,
        /// Where it is mounted; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub mountpoint: String,
        /// Bytes.
        pub total: u64,
        /// Type, as in `ext4`.
        pub fs_type: String,
        /// Inodes.
        pub inodes_total: u64,
    }

    /// A base unit of input and output.
    pub struct StaticBaseIo {
        /// The layer.
        pub kind: BaseIoKind,
        /// Name of the unit.
        pub name: String,
        /// Path; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub device_path: String,
        /// Reference; left out when empty.
        #[serde(rename = "ref", skip_serializing_if = "is_zero")]
        pub reference: String,
        /// Whether it carries the system; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub role: BaseIoRole,
    }

    /// Names and versions.
    pub struct StaticSystem {
        /// The host's name.
        pub hostname: String,
        /// `linux`, `darwin`, `windows` or another.
        pub os: String,
        /// Distribution or product, as in `debian`.
        pub platform: String,
        /// Its version, as in `12.11`.
        pub platform_version: String,
        /// The kernel's version.
        pub kernel_version: String,
        /// Architecture, as in `amd64` or `arm64`.
        pub arch: String,
    }

    /// RAID arrays.
    pub struct StaticRaid {
        /// Whether this system has a source for them.
        pub supported: bool,
        /// Whether there is an array.
        pub available: bool,
        /// The arrays.
        pub arrays: List<StaticRaidArray>,
    }

    /// A RAID array.
    pub struct StaticRaidArray {
        /// Name, as in `md0`.
        pub name: String,
        /// Level, as in `raid1`.
        pub level: String,
        /// How many devices belong to it.
        pub devices: i64,
        /// The members; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub members: Vec<StaticRaidMember>,
    }

    /// A member of an array.
    pub struct StaticRaidMember {
        /// Device name.
        pub name: String,
    }
}

/// A member that a [`Static`] lacks, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant is the path that its text gives")]
pub enum Missing {
    Version,
    Timestamp,
    ReportIntervalSeconds,
    Hostname,
    Os,
    Platform,
    PlatformVersion,
    KernelVersion,
    Arch,
    MemoryTotal,
    CoresLogical,
    CoresPhysical,
    Sockets,
}

impl Missing {
    /// Returns the path, as in `system.hostname`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Timestamp => "timestamp",
            Self::ReportIntervalSeconds => "report_interval_seconds",
            Self::Hostname => "system.hostname",
            Self::Os => "system.os",
            Self::Platform => "system.platform",
            Self::PlatformVersion => "system.platform_version",
            Self::KernelVersion => "system.kernel_version",
            Self::Arch => "system.arch",
            Self::MemoryTotal => "memory.total",
            Self::CoresLogical => "cpu.info.cores_logical",
            Self::CoresPhysical => "cpu.info.cores_physical",
            Self::Sockets => "cpu.info.sockets",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Static {
    /// Returns what keeps this from being sent at all, in the original's order; nothing means publishable.
    #[must_use]
    pub fn missing_to_publish(&self) -> Vec<Missing> {
        let checks = [
            (Missing::Version, is_blank(&self.version)),
            (Missing::Timestamp, self.timestamp.is_zero()),
            (Missing::ReportIntervalSeconds, self.report_interval_seconds <= 0),
        ];
        failing(&checks)
    }

    /// Returns what keeps this from being complete, in the original's order. An incomplete Static is sent, and sent
    /// again until a complete one was accepted.
    #[must_use]
    pub fn missing_to_complete(&self) -> Vec<Missing> {
        let (system, info) = (&self.system, &self.cpu.info);
        let checks = [
            (Missing::Hostname, is_blank(&system.hostname)),
            (Missing::Os, is_blank(&system.os)),
            (Missing::Platform, is_blank(&system.platform)),
            (Missing::PlatformVersion, is_blank(&system.platform_version)),
            (Missing::KernelVersion, is_blank(&system.kernel_version)),
            (Missing::Arch, is_blank(&system.arch)),
            (Missing::MemoryTotal, self.memory.total == 0),
            (Missing::CoresLogical, info.cores_logical <= 0),
            (Missing::CoresPhysical, info.cores_physical <= 0),
            (Missing::Sockets, info.sockets <= 0),
        ];
        failing(&checks)
    }

    /// Returns the fingerprint: equal for two that differ in their time only.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let timeless = Self { timestamp: Timestamp::ZERO, ..self.clone() };
        Fingerprint(Sha256::digest(encode(&timeless)).into())
    }
}

/// SHA-256 over a [`Static`] without its time. Equal to the digest that node 0.2.3 computes, though nothing on the
/// wire depends on that.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Returns the digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..4]))
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn failing(checks: &[(Missing, bool)]) -> Vec<Missing> {
    checks.iter().filter(|(_, fails)| *fails).map(|(missing, _)| *missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_shows_the_start_of_its_digest() {
        assert_eq!(format!("{:?}", Fingerprint([0xab; 32])), "abababab");
    }

    #[test]
    fn an_empty_static_lacks_everything_by_its_path() {
        let paths = |missing: Vec<Missing>| missing.iter().map(ToString::to_string).collect::<Vec<_>>();
        let empty = Static::default();
        assert_eq!(paths(empty.missing_to_publish()), ["version", "timestamp", "report_interval_seconds"]);
        assert_eq!(
            paths(empty.missing_to_complete()),
            [
                "system.hostname",
                "system.os",
                "system.platform",
                "system.platform_version",
                "system.kernel_version",
                "system.arch",
                "memory.total",
                "cpu.info.cores_logical",
                "cpu.info.cores_physical",
                "cpu.info.sockets",
            ]
        );
    }
}
