//! Block devices: `/proc/diskstats`, `/sys/block` and what a device is a part of.

use super::{entries, text};
use crate::host::disk::{DiskCounters, DiskTable};
use ithiltir_proto::wire::LogicalKind;
use std::path::{Path, PathBuf};

const SECTOR: u64 = 512;
/// Devices that are no hardware, or hold no disk.
const NOT_PHYSICAL: [&str; 11] =
    ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "drbd", "bcache", "zd"];
/// How many layers of devices are looked through at most.
const LAYERS: usize = 8;

/// Reads `/proc/diskstats`; lines of another form are left out.
pub(super) fn parse(text: &str) -> DiskTable {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<(String, DiskCounters)> {
    let mut words = line.split_whitespace().skip(2);
    let name = words.next()?.to_owned();
    let mut numbers = [0; 11];
    for number in &mut numbers {
        *number = words.next()?.parse().ok()?;
    }
    let [
        reads,
        _,
        sectors_read,
        read_time,
        writes,
        _,
        sectors_written,
        write_time,
        _,
        busy_time,
        pending_time,
    ] = numbers;
    let counters = DiskCounters {
        reads,
        read_bytes: sectors_read.saturating_mul(SECTOR),
        read_time,
        writes,
        write_bytes: sectors_written.saturating_mul(SECTOR),
        write_time,
        busy_time,
        pending_time,
    };
    Some((name, counters))
}

/// Returns the names of the physical disks, sorted.
pub(super) fn physical_disks() -> Vec<String> {
    // Partitions are not listed here. The kernel writes `!` for a slash.
    let names = entries("/sys/block").into_iter().map(|name| name.replace('!', "/"));
    names.filter(|name| is_physical(name)).collect()
}

fn is_physical(name: &str) -> bool {
    !NOT_PHYSICAL.iter().any(|prefix| name.starts_with(prefix))
}

/// What a file system counts towards: a disk, an array or a volume group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Unit {
    pub(super) kind: LogicalKind,
    pub(super) name: String,
}

impl Unit {
    pub(super) fn new(kind: LogicalKind, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }

    /// Returns the unit of a device by its name in the kernel, as in `vda1` or `dm-0`.
    pub(super) fn of_device(name: &str) -> Option<Self> {
        let mut name = name.to_owned();
        for _ in 0..LAYERS {
            let directory = directory(&name);
            if directory.join("partition").exists() {
                name = parent(&directory)?;
            } else if name.starts_with("md") {
                return Some(Self::new(LogicalKind::RaidMd, &name));
            } else if let Some(group) =
                volume_group(&text(directory.join("dm/uuid")), &text(directory.join("dm/name")))
            {
                return Some(Self::new(LogicalKind::LvmVolumeGroup, &group));
            } else if let Some(below) = entries(directory.join("slaves")).into_iter().next() {
                name = below.replace('!', "/");
            } else {
                return is_physical(&name).then(|| Self::new(LogicalKind::Disk, &name));
            }
        }
        None
    }
}

fn directory(name: &str) -> PathBuf {
    Path::new("/sys/class/block").join(name.replace('/', "!"))
}

/// Returns the disk of a partition, in whose directory it lies.
fn parent(partition: &Path) -> Option<String> {
    let path = partition.canonicalize().ok()?;
    Some(path.parent()?.file_name()?.to_str()?.replace('!', "/"))
}

/// Returns the volume group of a mapped device. Its name is `group-volume`; a dash inside either is doubled.
fn volume_group(uuid: &str, name: &str) -> Option<String> {
    const DASH: &str = "\0";
    let name = name.trim().replace("--", DASH);
    let (group, _) = name.split_once('-').filter(|_| uuid.starts_with("LVM-"))?;
    Some(group.replace(DASH, "-")).filter(|group| !group.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_lines_of_every_kernel() {
        let table = parse(
            " 254       0 vda 9330 4556 4244306 11042 2729 17155 1216856 2050 0 5660 13344 3862 43 162280 242 259 8\n\
             \x20  8       1 sda1 1 2 3 4 5 6 7 8 0 9 10\n   8       2 old 1 2 3 4\n   8  3 odd 1 2 x 4 5 6 7 8 0 9 10\n\n",
        );
        assert_eq!(table.keys().collect::<Vec<_>>(), ["sda1", "vda"]);
        let vda = table["vda"];
        assert_eq!((vda.reads, vda.read_bytes, vda.read_time), (9330, 4_244_306 * 512, 11042));
        assert_eq!((vda.writes, vda.write_bytes, vda.write_time), (2729, 1_216_856 * 512, 2050));
        assert_eq!((vda.busy_time, vda.pending_time), (5660, 13344));
    }

    #[test]
    fn only_hardware_is_physical() {
        let names = ["vda", "nvme0n1", "mmcblk0", "loop0", "ram1", "zram0", "dm-0", "md127", "sr0"];
        let physical: Vec<_> = names.into_iter().filter(|name| is_physical(name)).collect();
        assert_eq!(physical, ["vda", "nvme0n1", "mmcblk0"]);
    }

    #[test]
    fn the_volume_group_is_found_in_the_name() {
        assert_eq!(volume_group("LVM-abc", "data-root\n").as_deref(), Some("data"));
        assert_eq!(volume_group("LVM-abc", "my--data-the--root").as_deref(), Some("my-data"));
        assert_eq!(volume_group("CRYPT-LUKS2-abc", "data-root"), None);
        assert_eq!(volume_group("LVM-abc", "data"), None);
        assert_eq!(volume_group("", ""), None);
    }

    #[test]
    fn a_device_that_is_not_there_does_no_harm() {
        assert_eq!(Unit::of_device("loop99"), None);
        assert_eq!(Unit::of_device("md9"), Some(Unit::new(LogicalKind::RaidMd, "md9")));
    }
}
