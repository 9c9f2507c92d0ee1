//! What a database cannot take. §3, step 9.

use crate::wire::{NodeReport, Static};

/// The longest texts that a storage takes, in characters, and whether it takes NUL. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageLimits {
    /// Name of a network interface.
    pub interface_name: Option<usize>,
    /// Name of a base unit or a logical disk.
    pub unit_name: Option<usize>,
    /// Kind of a base unit or a logical disk.
    pub unit_kind: Option<usize>,
    /// Host name in a Static.
    pub hostname: Option<usize>,
    /// `os`, `platform`, `arch` of a Static.
    pub platform: Option<usize>,
    /// Version of the platform and of the kernel.
    pub platform_version: Option<usize>,
    /// Model of the processor.
    pub cpu_model: Option<usize>,
    /// Vendor of the processor.
    pub cpu_vendor: Option<usize>,
    /// The node's version.
    pub version: Option<usize>,
    /// Path of a file system.
    pub path: Option<usize>,
    /// Health of a logical disk.
    pub health: Option<usize>,
    /// Refuse texts with a NUL character.
    pub refuse_nul: bool,
}

/// A member that cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{member} cannot be stored")]
#[non_exhaustive]
pub struct Unstorable {
    /// The member, without its place in a list.
    pub member: &'static str,
}

impl StorageLimits {
    /// Returns the limits of the original's schema on PostgreSQL.
    ///
    /// As observed, the host name of a report is not stored and has no limit, and neither have the platform's name
    /// and the node's version; the schema says 32 and 64 there.
    #[must_use]
    pub fn postgresql() -> Self {
        Self {
            interface_name: Some(64),
            unit_name: Some(128),
            unit_kind: Some(16),
            hostname: Some(128),
            platform_version: Some(64),
            cpu_model: Some(128),
            cpu_vendor: Some(64),
            path: Some(256),
            health: Some(32),
            refuse_nul: true,
            ..Self::default()
        }
    }

    /// Checks the texts of a report that are stored.
    ///
    /// # Errors
    /// The first member that does not fit.
    pub fn check_report(&self, report: &NodeReport) -> Result<(), Unstorable> {
        let metrics = &report.metrics;
        for interface in &metrics.network {
            self.fits("metrics.network.name", &interface.name, self.interface_name)?;
        }
        for unit in &metrics.disk.base_io {
            self.fits("metrics.disk.base_io.name", &unit.name, self.unit_name)?;
            self.fits("metrics.disk.base_io.kind", unit.kind.as_str(), self.unit_kind)?;
        }
        for unit in &metrics.disk.logical {
            self.fits("metrics.disk.logical.name", &unit.name, self.unit_name)?;
            self.fits("metrics.disk.logical.kind", unit.kind.as_str(), self.unit_kind)?;
            self.fits("metrics.disk.logical.health", unit.health.as_str(), self.health)?;
        }
        for filesystem in &metrics.disk.filesystems {
            self.fits("metrics.disk.filesystems.path", &filesystem.path, self.path)?;
        }
        Ok(())
    }

    /// Checks the texts of a Static that are stored.
    ///
    /// # Errors
    /// The first member that does not fit.
    pub fn check_static(&self, statics: &Static) -> Result<(), Unstorable> {
        let (system, info) = (&statics.system, &statics.cpu.info);
        self.fits("version", &statics.version, self.version)?;
        self.fits("system.hostname", &system.hostname, self.hostname)?;
        self.fits("system.os", &system.os, self.platform)?;
        self.fits("system.platform", &system.platform, self.platform)?;
        self.fits("system.arch", &system.arch, self.platform)?;
        self.fits("system.platform_version", &system.platform_version, self.platform_version)?;
        self.fits("system.kernel_version", &system.kernel_version, self.platform_version)?;
        self.fits("cpu.info.model_name", &info.model_name, self.cpu_model)?;
        self.fits("cpu.info.vendor_id", &info.vendor_id, self.cpu_vendor)
    }

    fn fits(&self, member: &'static str, text: &str, limit: Option<usize>) -> Result<(), Unstorable> {
        // Bytes are never fewer than characters, so that most texts need no counting.
        let too_long = limit.is_some_and(|limit| text.len() > limit && text.chars().nth(limit).is_some());
        let nul = self.refuse_nul && text.contains('\0');
        if too_long || nul { Err(Unstorable { member }) } else { Ok(()) }
    }
}
