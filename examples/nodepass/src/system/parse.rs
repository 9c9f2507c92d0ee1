//! Reads the files of `/proc`. Lines of another form than expected are passed over; what is missing is 0.

/// Time since the start in ticks, all processors added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticks {
    /// All of it.
    pub total: u64,
    /// What of it nothing was done in, waiting for disks included.
    pub idle: u64,
}

/// Memory and swap in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// How much there is.
    pub total: u64,
    /// How much nobody uses, not even as a cache.
    pub free: u64,
    /// How much is not to be had without taking it away from a program; caches are not in it.
    pub used: u64,
    /// How much swap there is.
    pub swap_total: u64,
    /// How much swap nobody uses.
    pub swap_free: u64,
    /// How much swap is in use.
    pub swap_used: u64,
}

/// Bytes over all interfaces that are no virtual ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Received since the start.
    pub received: u64,
    /// Sent since the start.
    pub sent: u64,
}

/// Bytes of all whole disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// Read since the start.
    pub read: u64,
    /// Written since the start.
    pub written: u64,
}

impl Ticks {
    /// Reads `/proc/stat`; `None` if it has no line for all processors.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fields = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        // User, nice, system, idle, iowait, irq, softirq, steal. Time of guests is in the first two already.
        let mut ticks = [0_u64; 8];
        for (slot, field) in ticks.iter_mut().zip(fields.split_whitespace()) {
            *slot = field.parse().ok()?;
        }
        let total = ticks.iter().fold(0, |total: u64, ticks| total.saturating_add(*ticks));
        Some(Self { total, idle: ticks[3].saturating_add(ticks[4]) })
    }

    /// Returns the share of busy time between two readings in percent; -1 where it cannot be told.
    #[must_use]
    pub fn busy(before: Option<Self>, now: Option<Self>) -> i8 {
        let (Some(before), Some(now)) = (before, now) else {
            return -1;
        };
        let Some(total) = now.total.checked_sub(before.total).filter(|total| *total > 0) else {
            return -1;
        };
        // Waiting for disks may be counted back.
        let idle = now.idle.saturating_sub(before.idle).min(total);
        let percent = (u128::from(total - idle) * 100 + u128::from(total) / 2) / u128::from(total);
        i8::try_from(percent).unwrap_or(-1)
    }
}

impl Memory {
    /// Nothing known.
    pub const NONE: Self = Self { total: 0, free: 0, used: 0, swap_total: 0, swap_free: 0, swap_used: 0 };

    /// Reads `/proc/meminfo`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut memory = Self::NONE;
        let (mut available, mut cached) = (None, 0_u64);
        for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let number = value.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
            let Some(bytes) = number.map(|kibibytes| kibibytes.saturating_mul(1024)) else {
                continue;
            };
            match name {
                "MemTotal" => memory.total = bytes,
                "MemFree" => memory.free = bytes,
                "MemAvailable" => available = Some(bytes),
                "Buffers" | "Cached" | "SReclaimable" => cached = cached.saturating_add(bytes),
                "SwapTotal" => memory.swap_total = bytes,
                "SwapFree" => memory.swap_free = bytes,
                _ => {}
            }
        }
        // Kernels before 3.14 do not tell what is available.
        let available = available.unwrap_or(memory.free.saturating_add(cached));
        memory.used = memory.total.saturating_sub(available);
        memory.swap_used = memory.swap_total.saturating_sub(memory.swap_free);
        memory
    }
}

impl Network {
    /// Nothing known.
    pub const NONE: Self = Self { received: 0, sent: 0 };

    /// Reads `/proc/net/dev`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut sum = Self::NONE;
        for (received, sent) in text.lines().filter_map(interface) {
            sum.received = sum.received.saturating_add(received);
            sum.sent = sum.sent.saturating_add(sent);
        }
        sum
    }
}

fn interface(line: &str) -> Option<(u64, u64)> {
    // A long name stands right before the first number, and the name of an alias has a colon itself.
    let (name, fields) = line.rsplit_once(':')?;
    let name = name.trim();
    let is_virtual =
        name.contains(['.', ':', '@']) || VIRTUAL_INTERFACES.iter().any(|prefix| name.starts_with(prefix));
    if name.is_empty() || is_virtual {
        return None;
    }
    let mut numbers = fields.split_whitespace().map(|field| field.parse().ok());
    Some((numbers.next()??, numbers.nth(7)??))
}

impl Disk {
    /// Nothing known.
    pub const NONE: Self = Self { read: 0, written: 0 };

    /// Reads `/proc/diskstats`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let devices: Vec<_> = text.lines().filter_map(device).collect();
        let mut names: Vec<&str> = devices.iter().map(|(name, ..)| *name).collect();
        names.sort_unstable();
        let mut sum = Self::NONE;
        for &(name, read, written) in &devices {
            if whole_of(name).is_none_or(|whole| names.binary_search(&whole).is_err()) {
                sum.read = sum.read.saturating_add(read.saturating_mul(SECTOR));
                sum.written = sum.written.saturating_add(written.saturating_mul(SECTOR));
            }
        }
        sum
    }
}

/// Returns the name of a device that is no virtual one, and the sectors that were read and written.
fn device(line: &str) -> Option<(&str, u64, u64)> {
    let mut words = line.split_whitespace().skip(2);
    let name = words.next()?;
    // `nvme0c1n1` is one of several ways to `nvme0n1`.
    let is_path = name.strip_prefix("nvme").is_some_and(|rest| rest.contains('c'));
    if is_path || VIRTUAL_DEVICES.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    let mut numbers = words.map(|word| word.parse().ok());
    Some((name, numbers.nth(2)??, numbers.nth(3)??))
}

/// Returns the device that this one is a partition of if there is one of that name: `sda` for `sda1`, and `nvme0n1` for
/// `nvme0n1p1`.
fn whole_of(name: &str) -> Option<&str> {
    let base = name.trim_end_matches(|last: char| last.is_ascii_digit());
    if base.len() == name.len() {
        return None;
    }
    match base.strip_suffix('p') {
        Some(whole) if whole.ends_with(|last: char| last.is_ascii_digit()) => Some(whole),
        _ => Some(base),
    }
}

/// What diskstats counts in, whatever the device has.
const SECTOR: u64 = 512;

/// What a device is called that is no disk, or on top of one that is counted.
const VIRTUAL_DEVICES: [&str; 11] =
    ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "drbd", "bcache", "zd"];

/// What an interface is called that is no way out of the machine, or on top of one that is counted.
const VIRTUAL_INTERFACES: [&str; 28] = [
    "lo",
    "docker",
    "podman",
    "veth",
    "br",
    "virbr",
    "vnet",
    "vmnet",
    "vboxnet",
    "tun",
    "tap",
    "utun",
    "wg",
    "tailscale",
    "zt",
    "cni",
    "flannel",
    "cali",
    "kube",
    "dummy",
    "ifb",
    "sit",
    "gre",
    "ip6",
    "bond",
    "team",
    "vxlan",
    "macv",
];

/// Reads `/proc/uptime`: seconds since the machine was started.
#[must_use]
pub fn uptime(text: &str) -> u64 {
    // A cast of NaN, a negative or a huge number gives the nearest number there is.
    text.split_whitespace().next().and_then(|seconds| seconds.parse::<f64>().ok()).unwrap_or_default() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_is_what_is_not_idle() {
        let before = Ticks::parse("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 1 1 1\nintr 5\n");
        assert_eq!(before, Some(Ticks { total: 1000, idle: 800 }));
        let now = Ticks::parse("cpu  130 5 105 730 110 5 5 10 80 0\n");
        assert_eq!(Ticks::busy(before, now), 60);
        assert_eq!(Ticks::busy(before, Some(Ticks { total: 1300, idle: 800 })), 100);
        // Idle time was counted back.
        assert_eq!(Ticks::busy(before, Some(Ticks { total: 1010, idle: 790 })), 100);
        assert_eq!(Ticks::busy(before, Some(Ticks { total: 1010, idle: 2000 })), 0);
    }

    #[test]
    fn without_two_readings_busy_time_is_unknown() {
        let ticks = Ticks::parse("cpu 1 2 3 4\n");
        assert_eq!(ticks, Some(Ticks { total: 10, idle: 4 }));
        assert_eq!([Ticks::busy(ticks, ticks), Ticks::busy(None, ticks), Ticks::busy(ticks, None)], [-1; 3]);
        let later = Some(Ticks { total: 5, idle: 0 });
        assert_eq!(Ticks::busy(ticks, later), -1);
        for text in ["", "cpu0 1 2 3 4", "cpu 1 x 3 4", "cpux 1 2"] {
            assert_eq!(Ticks::parse(text), None, "{text}");
        }
        let huge = Ticks::parse("cpu 18446744073709551615 1 1 18446744073709551615 9\n").unwrap();
        assert_eq!(Ticks::busy(Some(Ticks::default()), Some(huge)), 0);
    }

    #[test]
    fn memory_is_free_used_or_a_cache() {
        let memory = Memory::parse(
            "MemTotal:       1000 kB\nMemFree:         300 kB\nMemAvailable:    600 kB\nBuffers:  100 kB\n\
             Cached:          150 kB\nSwapTotal:  400 kB\nSwapFree: 300 kB\nHugePages_Total: 0\n",
        );
        assert_eq!((memory.total, memory.free, memory.used), (1_024_000, 307_200, 409_600));
        assert_eq!((memory.swap_total, memory.swap_free, memory.swap_used), (409_600, 307_200, 102_400));
    }

    #[test]
    fn odd_memory_gives_figures_all_the_same() {
        assert_eq!(Memory::parse("MemTotal\nMemFree: x kB\n:\n"), Memory::NONE);
        let old = Memory::parse("MemTotal: 100 kB\nMemFree: 40 kB\nCached: 20 kB\nSwapFree: 5 kB\n");
        assert_eq!((old.used, old.swap_used), (40 * 1024, 0));
        assert_eq!(Memory::parse("MemFree: 18446744073709551615 kB\nCached: 1 kB").used, 0);
    }

    #[test]
    fn interfaces_that_lead_out_of_the_machine_count() {
        let network = Network::parse(
            "Inter-|   Receive                    |  Transmit\n\
             \x20face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop\n\
             \x20   lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0  0  0  0\n\
             \x20 eth0: 1000 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\n\
             enx0123456789ab:50 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n\
             docker0: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\nveth1a2b: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n\
             eth0.10: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\nbond0: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n\
             wlan0: 1 2 3\nodd: x 2 3 4 5 6 7 8 9\n: 1 2 3 4 5 6 7 8 9\nnothing\n",
        );
        assert_eq!(network, Network { received: 1050, sent: 207 });
        assert_eq!(Network::parse(""), Network::NONE);
    }

    #[test]
    fn whole_disks_count_once() {
        let line = |name: &str, read: u64, written: u64| {
            format!("   8   0 {name} 10 0 {read} 5 20 0 {written} 7 0 12 12 0 0 0 0\n")
        };
        let text = [
            line("sda", 100, 10),
            line("sda1", 60, 5),
            line("sda12", 40, 5),
            line("nvme0n1", 1000, 100),
            line("nvme0n1p1", 900, 100),
            line("nvme0c0n1", 900, 100),
            line("mmcblk0", 3, 0),
            line("mmcblk0p2", 3, 0),
            // A virtual machine may have been given a partition and no disk.
            line("xvda1", 7, 1),
            line("loop0", 9, 9),
            line("dm-0", 9, 9),
            line("md127", 9, 9),
            line("ram1", 9, 9),
            "8 0 sdb 1 2\n8 0 sdc 1 2 x 4 5 6 7\nodd\n\n".to_owned(),
        ];
        assert_eq!(Disk::parse(&text.concat()), Disk { read: 1110 * 512, written: 111 * 512 });
        assert_eq!(Disk::parse(""), Disk::NONE);
        assert_eq!(Disk::parse(&line("sda", u64::MAX, 0)).read, u64::MAX);
    }

    #[test]
    fn uptime_is_the_first_number() {
        assert_eq!(uptime("1997.10 3894.72\n"), 1997);
        assert_eq!([uptime(""), uptime("NaN"), uptime("-1"), uptime("x 1")], [0; 4]);
    }
}
