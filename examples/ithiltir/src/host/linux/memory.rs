//! Memory and swap: `/proc/meminfo`.

use crate::host::figures::ratio;
use ithiltir_proto::wire::{Memory, StaticMemory};

/// What `/proc/meminfo` tells, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meminfo {
    total: u64,
    free: u64,
    /// Kernels before 3.14 do not tell.
    available: Option<u64>,
    buffers: u64,
    cached: u64,
    /// Counts as cache, as the kernel gives it back when asked.
    reclaimable: u64,
    swap_total: u64,
    swap_free: u64,
}

impl Meminfo {
    pub(super) fn parse(text: &str) -> Self {
        let mut memory = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let Some(kibibytes) = value.split_whitespace().next().and_then(|word| word.parse::<u64>().ok())
            else {
                continue;
            };
            let bytes = kibibytes.saturating_mul(1024);
            match name {
                "MemTotal" => memory.total = bytes,
                "MemFree" => memory.free = bytes,
                "MemAvailable" => memory.available = Some(bytes),
                "Buffers" => memory.buffers = bytes,
                "Cached" => memory.cached = bytes,
                "SReclaimable" => memory.reclaimable = bytes,
                "SwapTotal" => memory.swap_total = bytes,
                "SwapFree" => memory.swap_free = bytes,
                _ => {}
            }
        }
        memory
    }

    pub(super) fn report(self) -> Memory {
        let cached = self.cached.saturating_add(self.reclaimable);
        let unused = self.free.saturating_add(self.buffers).saturating_add(cached);
        let used = self.total.saturating_sub(unused);
        let swap_used = self.swap_total.saturating_sub(self.swap_free);
        Memory {
            used,
            available: self.available.unwrap_or(unused).min(self.total),
            buffers: self.buffers,
            cached,
            used_ratio: ratio(used as f64, self.total as f64),
            swap_used,
            swap_free: self.swap_free,
            swap_used_ratio: ratio(swap_used as f64, self.swap_total as f64),
        }
    }

    pub(super) fn statics(self) -> StaticMemory {
        StaticMemory { total: self.total, swap_total: self.swap_total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_memory_is_neither_free_nor_cache() {
        let memory = Meminfo::parse(
            "MemTotal:       1000 kB\nMemFree:         300 kB\nMemAvailable:    600 kB\nBuffers:  100 kB\n\
             Cached:          150 kB\nSReclaimable:     50 kB\nSwapTotal:  400 kB\nSwapFree: 300 kB\nHugePages_Total: 0\n",
        );
        let report = memory.report();
        assert_eq!((report.used, report.available), (400 * 1024, 600 * 1024));
        assert_eq!((report.buffers, report.cached), (100 * 1024, 200 * 1024));
        assert_eq!((report.used_ratio, report.swap_used_ratio), (0.4, 0.25));
        assert_eq!(memory.statics(), StaticMemory { total: 1_024_000, swap_total: 409_600 });
    }

    #[test]
    fn odd_content_gives_figures_all_the_same() {
        assert_eq!(Meminfo::parse("MemTotal\nMemFree: x kB\n:\n").report(), Memory::default());
        let old =
            Meminfo::parse("MemTotal: 100 kB\nMemFree: 40 kB\nCached: 90 kB\nSwapFree: 5 kB\n").report();
        assert_eq!((old.used, old.available), (0, 100 * 1024));
        assert_eq!((old.swap_used, old.swap_used_ratio), (0, 0.0));
        assert_eq!(Meminfo::parse("Cached: 18446744073709551615 kB").report().used, 0);
    }
}
