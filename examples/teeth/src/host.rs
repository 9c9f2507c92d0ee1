//! What an agent says about this machine.

use std::fs;

/// This machine, as far as it can be looked at without privileges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Host {
    /// Its name.
    pub name: Option<String>,
    /// A hardware address of it.
    pub hardware_address: Option<String>,
    /// Its processors.
    pub cpus: Option<u64>,
    /// Its memory, in bytes.
    pub memory: Option<u64>,
}

impl Host {
    /// Looks at this machine. Where there is no `/proc`, only the processors are known.
    #[must_use]
    pub fn read() -> Self {
        let processors =
            |text: String| text.lines().filter(|line| line.starts_with("processor")).count() as u64;
        let counted = fs::read_to_string("/proc/cpuinfo").ok().map(processors).filter(|&count| count > 0);
        let usable = || std::thread::available_parallelism().ok().map(|count| count.get() as u64);
        Self {
            name: fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned()),
            hardware_address: hardware_address(),
            cpus: counted.or_else(usable),
            memory: fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_memory(&text)),
        }
    }
}

/// Whether this system could start another kernel without a reboot.
#[must_use]
pub fn can_kexec() -> bool {
    fs::exists("/sys/kernel/kexec_loaded").unwrap_or(false)
}

/// Returns the names of the block devices that hold data of their own.
#[must_use]
pub fn block_devices() -> Vec<String> {
    let entries = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> =
        names.filter(|name| !["loop", "ram", "zram"].iter().any(|kind| name.starts_with(kind))).collect();
    names.sort();
    names
}

fn total_memory(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The first one by the name of its interface that is not all zeros, as that of the loopback is.
fn hardware_address() -> Option<String> {
    let interfaces = fs::read_dir("/sys/class/net").ok()?;
    let mut folders: Vec<_> = interfaces.flatten().map(|interface| interface.path()).collect();
    folders.sort();
    let addresses = folders.iter().filter_map(|folder| fs::read_to_string(folder.join("address")).ok());
    let mut addresses = addresses.map(|address| address.trim().to_owned());
    addresses.find(|address| address.len() == 17 && address.bytes().any(|byte| !b"0:".contains(&byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(total_memory("Foo: 1 kB\nMemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16_777_216));
        assert_eq!(total_memory("MemTotal: many kB\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_processors_and_memory() {
        let host = Host::read();
        assert!(host.cpus.unwrap_or_default() > 0 && host.memory.unwrap_or_default() > 0, "{host:?}");
    }
}
