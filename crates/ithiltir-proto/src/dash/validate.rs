//! What makes sense of a report and of a Static. §3, step 7.

use crate::Version;
use crate::wire::{Disk, List, NodeReport, Raid, Smart, Static, Thermal};
use std::collections::BTreeSet;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {problem}")]
#[non_exhaustive]
pub struct Invalid {
    /// The member, as in `metrics.disk.physical[1].name`.
    pub path: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is missing or `null`.
    #[error("is missing")]
    Missing,
    /// It is blank.
    #[error("is blank")]
    Blank,
    /// Another item of the list has the same.
    #[error("stands twice")]
    Repeated,
    /// It is no strict SemVer version.
    #[error("is not SemVer")]
    NotSemVer,
    /// It is the zero instant.
    #[error("is no time")]
    NoTime,
    /// It is not above 0.
    #[error("is not above 0")]
    NotPositive,
}

type Check = Result<(), Invalid>;

/// Validates a report as the original does (422 `invalid_metrics`).
///
/// Everything else may be missing: numbers are 0 then. There are no checks of ranges. Names have to be unique among
/// physical disks, logical disks (across kinds), base units and network interfaces.
///
/// # Errors
/// The first member that is wrong. The work is linear, but for a factor that is logarithmic in the length of a list.
pub fn validate_report(report: &NodeReport) -> Check {
    version(&report.version)?;
    filled("hostname", &report.hostname)?;
    if report.timestamp.is_zero() {
        return wrong("timestamp", Problem::NoTime);
    }
    let metrics = &report.metrics;
    disk(&metrics.disk)?;
    names("metrics.network", &metrics.network, |item| &item.name)?;
    filled("metrics.system.uptime", &metrics.system.uptime)?;
    raid(&metrics.raid)?;
    metrics.disk.smart.as_ref().map_or(Ok(()), smart)?;
    metrics.thermal.as_ref().map_or(Ok(()), thermal)
}

/// Validates a Static as the original does (422 `invalid_static_payload`): version, time, an interval above 0, and
/// all six names of the system. A node calls one with a blank name incomplete and sends it all the same.
///
/// # Errors
/// The first member that is wrong.
pub fn validate_static(statics: &Static) -> Check {
    version(&statics.version)?;
    if statics.timestamp.is_zero() {
        return wrong("timestamp", Problem::NoTime);
    }
    if statics.report_interval_seconds <= 0 {
        return wrong("report_interval_seconds", Problem::NotPositive);
    }
    let system = &statics.system;
    filled("system.hostname", &system.hostname)?;
    filled("system.os", &system.os)?;
    filled("system.platform", &system.platform)?;
    filled("system.platform_version", &system.platform_version)?;
    filled("system.kernel_version", &system.kernel_version)?;
    filled("system.arch", &system.arch)
}

fn disk(disk: &Disk) -> Check {
    names("metrics.disk.physical", &disk.physical, |item| &item.name)?;
    names("metrics.disk.logical", &disk.logical, |item| &item.name)?;
    items("metrics.disk.logical", &disk.logical, "kind", |item| item.kind.as_str())?;
    present("metrics.disk.filesystems", &disk.filesystems)?;
    items("metrics.disk.filesystems", &disk.filesystems, "path", |item| &item.path)?;
    names("metrics.disk.base_io", &disk.base_io, |item| &item.name)?;
    items("metrics.disk.base_io", &disk.base_io, "kind", |item| item.kind.as_str())
}

fn raid(raid: &Raid) -> Check {
    let path = "metrics.raid.arrays";
    present(path, &raid.arrays)?;
    items(path, &raid.arrays, "name", |item| &item.name)?;
    items(path, &raid.arrays, "status", |item| &item.status)?;
    items(path, &raid.arrays, "health", |item| item.health.as_str())?;
    for (place, array) in raid.arrays.iter().enumerate() {
        let path = || format!("{path}[{place}].members");
        if array.members.is_absent() {
            return wrong(path(), Problem::Missing);
        }
        for (member_place, member) in array.members.iter().enumerate() {
            let name = |name| format!("{}[{member_place}].{name}", path());
            filled_at(|| name("name"), &member.name)?;
            filled_at(|| name("state"), member.state.as_str())?;
        }
    }
    Ok(())
}

fn smart(smart: &Smart) -> Check {
    let path = "metrics.disk.smart.devices";
    filled("metrics.disk.smart.status", smart.status.as_str())?;
    present(path, &smart.devices)?;
    items(path, &smart.devices, "name", |item| &item.name)?;
    items(path, &smart.devices, "source", |item| &item.source)?;
    items(path, &smart.devices, "status", |item| item.status.as_str())
}

fn thermal(thermal: &Thermal) -> Check {
    let path = "metrics.thermal.sensors";
    filled("metrics.thermal.status", thermal.status.as_str())?;
    present(path, &thermal.sensors)?;
    items(path, &thermal.sensors, "kind", |item| item.kind.as_str())?;
    items(path, &thermal.sensors, "name", |item| &item.name)?;
    items(path, &thermal.sensors, "sensor_key", |item| &item.sensor_key)?;
    items(path, &thermal.sensors, "source", |item| &item.source)?;
    items(path, &thermal.sensors, "status", |item| item.status.as_str())
}

fn version(text: &str) -> Check {
    if Version::parse(text).is_ok() { Ok(()) } else { wrong("version", Problem::NotSemVer) }
}

fn wrong(path: impl Into<String>, problem: Problem) -> Check {
    Err(Invalid { path: path.into(), problem })
}

fn filled(path: &str, text: &str) -> Check {
    filled_at(|| path.to_owned(), text)
}

fn filled_at(path: impl FnOnce() -> String, text: &str) -> Check {
    if text.trim().is_empty() { wrong(path(), Problem::Blank) } else { Ok(()) }
}

fn present<T>(path: &str, list: &List<T>) -> Check {
    if list.is_absent() { wrong(path, Problem::Missing) } else { Ok(()) }
}

/// One member of every item is filled.
fn items<'a, T>(path: &str, list: &'a List<T>, member: &str, text: impl Fn(&'a T) -> &'a str) -> Check {
    match list.iter().position(|item| text(item).trim().is_empty()) {
        Some(place) => wrong(format!("{path}[{place}].{member}"), Problem::Blank),
        None => Ok(()),
    }
}

/// The list is there, and its trimmed names are filled and unique.
fn names<'a, T>(path: &str, list: &'a List<T>, name: impl Fn(&'a T) -> &'a str) -> Check {
    /// Up to here comparing each with each is faster than a set.
    const FEW: usize = 8;
    present(path, list)?;
    items(path, list, "name", &name)?;
    let name = |place: usize| name(&list[place]).trim();
    let repeated = if list.len() <= FEW {
        (1..list.len()).find(|&place| (0..place).any(|earlier| name(earlier) == name(place)))
    } else {
        let mut seen = BTreeSet::new();
        (0..list.len()).find(|&place| !seen.insert(name(place)))
    };
    match repeated {
        Some(place) => wrong(format!("{path}[{place}].name"), Problem::Repeated),
        None => Ok(()),
    }
}
