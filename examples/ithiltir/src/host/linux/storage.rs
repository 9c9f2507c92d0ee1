//! What disks, arrays and file systems make up together.

use super::block::{Unit, physical_disks};
use super::filesystem::{self, Mounted};
use super::raid::{self, Array};
use super::text;
use crate::host::disk::device_path;
use crate::host::figures::ratio;
use ithiltir_proto::wire::{
    BaseIoKind, BaseIoRole, Filesystem, Health, List, LogicalDisk, LogicalKind, Raid, StaticBaseIo,
    StaticDisk, StaticLogicalDisk, StaticPhysicalDisk, StaticRaid,
};
use std::collections::{BTreeMap, BTreeSet};

/// Everything on this host that stores something.
#[derive(Clone, Debug, Default)]
pub(super) struct Storage {
    /// Names of the physical disks, sorted.
    pub(super) physical: Vec<String>,
    /// Sorted by name.
    pub(super) arrays: Vec<Array>,
    /// Sorted by mount point.
    pub(super) mounted: Vec<Mounted>,
}

/// The file systems of a unit together.
#[derive(Clone, Debug, Default)]
struct Content<'a> {
    total: u64,
    used: u64,
    free: u64,
    first: Option<&'a Mounted>,
}

impl Storage {
    pub(super) fn read() -> Self {
        let mounts = filesystem::parse(&text("/proc/self/mounts"));
        Self {
            physical: physical_disks(),
            arrays: raid::parse(&text("/proc/mdstat")),
            mounted: mounts.into_iter().filter_map(Mounted::read).collect(),
        }
    }

    pub(super) fn filesystems(&self) -> List<Filesystem> {
        self.mounted.iter().map(Mounted::report).collect()
    }

    pub(super) fn raid(&self) -> Raid {
        Raid {
            supported: true,
            available: !self.arrays.is_empty(),
            arrays: self.arrays.iter().map(Array::report).collect(),
        }
    }

    pub(super) fn static_raid(&self) -> StaticRaid {
        StaticRaid {
            supported: true,
            available: !self.arrays.is_empty(),
            arrays: self.arrays.iter().map(Array::statics).collect(),
        }
    }

    pub(super) fn logical(&self) -> List<LogicalDisk> {
        let report = |(unit, content): (Unit, Content<'_>)| LogicalDisk {
            device_path: unit_path(&unit),
            reference: reference(&unit),
            used: content.used,
            free: content.free,
            used_ratio: ratio(content.used as f64, content.used as f64 + content.free as f64),
            health: self.array(&unit).map_or_else(Health::default, Array::health),
            kind: unit.kind,
            name: unit.name,
        };
        self.units().into_iter().map(report).collect()
    }

    pub(super) fn static_disk(&self) -> StaticDisk {
        StaticDisk {
            physical: self.physical.iter().map(|name| static_physical(name)).collect(),
            logical: self
                .units()
                .into_iter()
                .map(|(unit, content)| self.static_logical(unit, &content))
                .collect(),
            filesystems: self.mounted.iter().map(Mounted::statics).collect(),
            base_io: self.arrays.iter().enumerate().map(|(at, array)| static_base_unit(at, array)).collect(),
        }
    }

    fn static_logical(&self, unit: Unit, content: &Content<'_>) -> StaticLogicalDisk {
        let mount = content.first.map(|first| &first.mount);
        StaticLogicalDisk {
            device_path: unit_path(&unit),
            reference: reference(&unit),
            total: content.total,
            mountpoint: mount.map(|mount| mount.mountpoint.clone()).unwrap_or_default(),
            fs_type: mount.map(|mount| mount.fs_type.clone()).unwrap_or_default(),
            devices: self.array(&unit).map(Array::device_paths).unwrap_or_default(),
            kind: unit.kind,
            name: unit.name,
        }
    }

    /// Returns all arrays, and the disks and volume groups that carry file systems, sorted by kind and name.
    fn units(&self) -> Vec<(Unit, Content<'_>)> {
        let mut contents: BTreeMap<Unit, Content<'_>> = BTreeMap::new();
        for array in &self.arrays {
            contents.entry(Unit::new(LogicalKind::RaidMd, &array.name)).or_default();
        }
        for mounted in &self.mounted {
            if let Some(unit) = &mounted.unit {
                contents.entry(unit.clone()).or_default().add(mounted);
            }
        }
        let mut units: Vec<_> = contents.into_iter().collect();
        units.sort_by(|(one, _), (other, _)| {
            (one.kind.as_str(), &one.name).cmp(&(other.kind.as_str(), &other.name))
        });
        // The Dash refuses a report in which two units of different kinds have one name.
        let mut names = BTreeSet::new();
        units.retain(|(unit, _)| names.insert(unit.name.clone()));
        units
    }

    fn array(&self, unit: &Unit) -> Option<&Array> {
        let arrays = if unit.kind == LogicalKind::RaidMd { self.arrays.as_slice() } else { &[] };
        arrays.iter().find(|array| array.name == unit.name)
    }
}

impl<'a> Content<'a> {
    fn add(&mut self, mounted: &'a Mounted) {
        self.total = self.total.saturating_add(mounted.usage.total);
        self.used = self.used.saturating_add(mounted.usage.used);
        self.free = self.free.saturating_add(mounted.usage.free);
        self.first.get_or_insert(mounted);
    }
}

/// Returns the path of a unit; a volume group is no device and has none.
fn unit_path(unit: &Unit) -> String {
    match unit.kind {
        LogicalKind::LvmVolumeGroup => String::new(),
        _ => device_path(&unit.name),
    }
}

fn reference(unit: &Unit) -> String {
    let prefix = if unit.kind == LogicalKind::RaidMd { "raid" } else { unit.kind.as_str() };
    format!("{prefix}:{}", unit.name)
}

fn static_physical(name: &str) -> StaticPhysicalDisk {
    StaticPhysicalDisk {
        name: name.to_owned(),
        device_path: device_path(name),
        reference: format!("disk:{name}"),
    }
}

fn static_base_unit(at: usize, array: &Array) -> StaticBaseIo {
    StaticBaseIo {
        kind: BaseIoKind::Raid,
        name: array.name.clone(),
        device_path: device_path(&array.name),
        reference: format!("raid:{}", array.name),
        role: if at == 0 { BaseIoRole::Primary } else { BaseIoRole::Secondary },
    }
}

#[cfg(test)]
mod tests {
    use super::super::filesystem::{Mount, Usage};
    use super::*;

    fn mounted(mountpoint: &str, unit: Unit, used: u64, free: u64) -> Mounted {
        let mount =
            Mount { mountpoint: mountpoint.to_owned(), fs_type: "ext4".to_owned(), ..Mount::default() };
        let usage = Usage { total: used + free, used, free, ..Usage::default() };
        Mounted { mount, usage, unit: Some(unit) }
    }

    fn storage() -> Storage {
        Storage {
            physical: vec!["sda".to_owned(), "sdb".to_owned()],
            arrays: raid::parse("md0 : active raid1 sdb1[1] sda2[0]\n      8 blocks [2/1] [U_]\n"),
            mounted: vec![
                mounted("/", Unit::new(LogicalKind::Disk, "sda"), 1, 2),
                mounted("/boot", Unit::new(LogicalKind::Disk, "sda"), 3, 6),
                mounted("/srv", Unit::new(LogicalKind::LvmVolumeGroup, "data"), 5, 5),
                mounted("/var", Unit::new(LogicalKind::LvmVolumeGroup, "sda"), 5, 5),
            ],
        }
    }

    #[test]
    fn file_systems_add_up_to_units_with_unique_names() {
        let logical = storage().logical();
        let named: Vec<_> = logical.iter().map(|unit| unit.reference.as_str()).collect();
        assert_eq!(named, ["disk:sda", "lvm_vg:data", "raid:md0"]);
        assert_eq!((logical[0].used, logical[0].free), (4, 8));
        assert_eq!((&logical[0].health, &logical[2].health), (&Health::default(), &Health::Degraded));
        assert_eq!((logical[1].device_path.as_str(), logical[2].used), ("", 0));
    }

    #[test]
    fn statics_name_the_first_place_and_the_arrays() {
        let disk = storage().static_disk();
        assert_eq!((disk.logical[0].mountpoint.as_str(), disk.logical[0].total), ("/", 12));
        assert_eq!(disk.logical[2].devices, ["/dev/sda2", "/dev/sdb1"]);
        assert_eq!((disk.base_io.len(), &disk.base_io[0].role), (1, &BaseIoRole::Primary));
        assert!(Storage { arrays: Vec::new(), ..storage() }.static_disk().base_io.is_empty());
    }
}
