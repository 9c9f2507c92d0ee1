//! Mounted file systems: `/proc/self/mounts` and `statvfs`.

use super::block::Unit;
use crate::host::figures::ratio;
use ithiltir_proto::wire::{Filesystem, StaticFilesystem};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Images and discs, which are full by nature.
const READ_ONLY_TYPES: [&str; 4] = ["squashfs", "iso9660", "udf", "erofs"];

/// A file system on a block device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) device: String,
    pub(super) mountpoint: String,
    pub(super) fs_type: String,
}

/// Reads `/proc/self/mounts`: the file systems on block devices, one for each device, sorted by mount point.
pub(super) fn parse(text: &str) -> Vec<Mount> {
    let mut mounts: Vec<_> = text.lines().filter_map(parse_line).collect();
    // A device may be mounted again below its main place, as containers do with single files.
    mounts.sort_by_key(|mount| mount.mountpoint.len());
    let mut devices = BTreeSet::new();
    mounts.retain(|mount| devices.insert(mount.device.clone()));
    mounts.sort_by(|one, other| one.mountpoint.cmp(&other.mountpoint));
    mounts
}

fn parse_line(line: &str) -> Option<Mount> {
    let mut words = line.split_ascii_whitespace();
    let mut next = || words.next().map(unescape);
    let (device, mountpoint, fs_type) = (next()?, next()?, next()?);
    let name = device.strip_prefix("/dev/")?;
    let real = !name.starts_with("loop")
        && !READ_ONLY_TYPES.contains(&fs_type.as_str())
        && !fs_type.contains("fuse.");
    real.then_some(Mount { device, mountpoint, fs_type })
}

/// Undoes the kernel's spelling of white space and backslashes, as in `\040`.
fn unescape(word: &str) -> String {
    let mut pieces = word.split('\\');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        match code {
            Some(code) => {
                text.push(code.into());
                text.push_str(&piece[3..]);
            }
            None => {
                text.push('\\');
                text.push_str(piece);
            }
        }
    }
    text
}

/// Space and inodes of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) total: u64,
    pub(super) used: u64,
    /// What programs without special rights may still use.
    pub(super) free: u64,
    pub(super) inodes_total: u64,
    pub(super) inodes_free: u64,
}

/// A mounted file system, its usage and what it counts towards.
#[derive(Clone, Debug)]
pub(super) struct Mounted {
    pub(super) mount: Mount,
    pub(super) usage: Usage,
    pub(super) unit: Option<Unit>,
}

impl Mounted {
    /// Returns nothing where the mount point cannot be looked at.
    pub(super) fn read(mount: Mount) -> Option<Self> {
        let values = rustix::fs::statvfs(mount.mountpoint.as_str()).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(values.f_frsize);
        let usage = Usage {
            total: bytes(values.f_blocks),
            used: bytes(values.f_blocks.saturating_sub(values.f_bfree)),
            free: bytes(values.f_bavail),
            inodes_total: values.f_files,
            inodes_free: values.f_ffree,
        };
        let unit = kernel_name(&mount).and_then(|name| Unit::of_device(&name));
        Some(Self { mount, usage, unit })
    }

    pub(super) fn report(&self) -> Filesystem {
        let Usage { used, free, inodes_total, inodes_free, .. } = self.usage;
        let inodes_used = inodes_total.saturating_sub(inodes_free);
        Filesystem {
            path: self.mount.mountpoint.clone(),
            device: self.mount.device.clone(),
            mountpoint: self.mount.mountpoint.clone(),
            used,
            free,
            used_ratio: ratio(used as f64, used as f64 + free as f64),
            inodes_used,
            inodes_free,
            inodes_used_ratio: ratio(inodes_used as f64, inodes_total as f64),
        }
    }

    pub(super) fn statics(&self) -> StaticFilesystem {
        StaticFilesystem {
            path: self.mount.mountpoint.clone(),
            device: self.mount.device.clone(),
            mountpoint: self.mount.mountpoint.clone(),
            total: self.usage.total,
            fs_type: self.mount.fs_type.clone(),
            inodes_total: self.usage.inodes_total,
        }
    }
}

/// Returns the kernel's name of the mounted device, following links such as `/dev/mapper/data-root`.
fn kernel_name(mount: &Mount) -> Option<String> {
    if let Ok(path) = Path::new(&mount.device).canonicalize() {
        return Some(path.strip_prefix("/dev").ok()?.to_str()?.to_owned());
    }
    // `/dev/root` and devices outside a container are no files; the number of the device is known all the same.
    let number = std::fs::metadata(&mount.mountpoint).ok()?.dev();
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    let link = Path::new("/sys/dev/block").join(format!("{major}:{minor}")).canonicalize().ok()?;
    Some(link.file_name()?.to_str()?.replace('!', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_device_counts_once_at_its_shortest_place() {
        let mounts = parse(
            "proc /proc proc rw 0 0\n/dev/sda1 /etc/hosts ext4 rw 0 0\n/dev/sda1 / ext4 rw 0 0\n\
             tmpfs /run tmpfs rw 0 0\n/dev/loop3 /snap/x squashfs ro 0 0\n/dev/sr0 /media iso9660 ro 0 0\n\
             /dev/mapper/data-home /home btrfs rw 0 0\nserver:/x /net nfs4 rw 0 0\n/dev/odd\n\n",
        );
        let places: Vec<_> =
            mounts.iter().map(|mount| (mount.device.as_str(), mount.mountpoint.as_str())).collect();
        assert_eq!(places, [("/dev/sda1", "/"), ("/dev/mapper/data-home", "/home")]);
        assert_eq!(mounts[1].fs_type, "btrfs");
    }

    #[test]
    fn escaped_characters_are_read() {
        assert_eq!(unescape(r"/mnt/a\040b\011c\134d"), "/mnt/a b\tc\\d");
        assert_eq!(unescape(r"\04"), r"\04");
        assert_eq!(unescape(r"\999é\377x"), r"\999é\377x");
        assert_eq!(unescape("\\éé"), "\\éé");
    }

    #[test]
    fn ratios_are_those_of_what_programs_may_use() {
        let usage = Usage { total: 1000, used: 100, free: 300, inodes_total: 10, inodes_free: 4 };
        let report = Mounted { mount: Mount::default(), usage, unit: None }.report();
        assert_eq!((report.used_ratio, report.inodes_used, report.inodes_used_ratio), (0.25, 6, 0.6));
        let empty = Mounted { mount: Mount::default(), usage: Usage::default(), unit: None };
        assert_eq!((empty.report().used_ratio, empty.report().inodes_used_ratio), (0.0, 0.0));
    }
}
