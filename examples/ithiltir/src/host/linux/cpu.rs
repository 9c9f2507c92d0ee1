//! Processors: `/proc/stat`, `/proc/loadavg` and `/proc/cpuinfo`.

use crate::host::figures::{growth, ratio};
use ithiltir_proto::wire::{Cpu, CpuTimes, StaticCpuInfo};
use std::collections::BTreeSet;

/// The highest clock in kHz. Unlike the clock in `/proc/cpuinfo` it does not change from one reading to the next.
pub(super) const MAXIMUM_FREQUENCY: &str = "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq";

/// The kernel counts in `USER_HZ`, which is 100 on every architecture that is still in use.
const TICKS_PER_SECOND: f64 = 100.0;

/// Time since the start in ticks, all processors added up: user, nice, system, idle, iowait, irq, softirq, steal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticks([u64; 8]);

impl Ticks {
    const IDLE: usize = 3;
    const IOWAIT: usize = 4;

    /// Reads `/proc/stat`. Fields that an old kernel does not have are 0.
    pub(super) fn parse(text: &str) -> Self {
        let mut ticks = Self::default();
        let fields = text.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
        for (slot, field) in ticks.0.iter_mut().zip(fields.split_whitespace()) {
            *slot = field.parse().unwrap_or_default();
        }
        ticks
    }

    fn usage_since(self, before: Self) -> f64 {
        let grown: Vec<f64> = self.0.iter().zip(before.0).map(|(now, before)| growth(*now, before)).collect();
        let total: f64 = grown.iter().sum();
        ratio(total - grown[Self::IDLE] - grown[Self::IOWAIT], total)
    }

    fn times(self) -> CpuTimes {
        let [user, _, system, idle, iowait, _, _, steal] =
            self.0.map(|ticks| ticks as f64 / TICKS_PER_SECOND);
        CpuTimes { user, system, idle, iowait, steal }
    }
}

/// Returns the figures from two readings and `/proc/loadavg`.
pub(super) fn report(now: Ticks, before: Ticks, load_averages: &str) -> Cpu {
    let [load1, load5, load15] = parse_load_averages(load_averages);
    Cpu { usage_ratio: now.usage_since(before), load1, load5, load15, times: now.times() }
}

fn parse_load_averages(text: &str) -> [f64; 3] {
    let mut numbers =
        text.split_whitespace().map(|word| word.parse().ok().filter(|load: &f64| load.is_finite()));
    [(); 3].map(|()| numbers.next().flatten().unwrap_or(-1.0))
}

/// Returns what the processors are, from `/proc/cpuinfo` and the content of [`MAXIMUM_FREQUENCY`].
pub(super) fn info(text: &str, maximum_kilohertz: &str) -> StaticCpuInfo {
    let blocks: Vec<&str> = text.split("\n\n").filter(|block| member(block, "processor").is_some()).collect();
    let logical = blocks.len();
    let first = |name| blocks.iter().find_map(|block| member(block, name)).unwrap_or_default();
    let sockets: BTreeSet<_> = blocks.iter().filter_map(|block| member(block, "physical id")).collect();
    let cores: BTreeSet<_> = blocks.iter().filter_map(|block| core(block)).collect();
    let or = |known: usize, other: usize| if known == 0 { other } else { known };
    StaticCpuInfo {
        model_name: first("model name").to_owned(),
        vendor_id: first("vendor_id").to_owned(),
        sockets: or(sockets.len(), logical.min(1)) as i64,
        cores_physical: or(cores.len(), logical) as i64,
        cores_logical: logical as i64,
        frequency_mhz: megahertz(maximum_kilohertz, 1000.0)
            .or_else(|| megahertz(first("cpu MHz"), 1.0))
            .unwrap_or_default(),
    }
}

fn megahertz(text: &str, divisor: f64) -> Option<f64> {
    let number: f64 = text.trim().parse().ok()?;
    Some(number / divisor).filter(|megahertz| megahertz.is_finite() && *megahertz > 0.0)
}

fn core(block: &str) -> Option<(&str, &str)> {
    Some((member(block, "physical id")?, member(block, "core id")?))
}

fn member<'a>(block: &'a str, name: &str) -> Option<&'a str> {
    let members = block.lines().filter_map(|line| line.split_once(':'));
    members.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_the_share_that_is_neither_idle_nor_waiting() {
        let before = Ticks::parse("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2 3 4\nintr 5\n");
        let now = Ticks::parse("cpu  120 5 110 750 110 2 3 0 0 0\n");
        let cpu = report(now, before, "2.86 2.80 1.38 1/82 5249\n");
        assert_eq!(cpu.usage_ratio, 0.4);
        assert_eq!((cpu.load1, cpu.load5, cpu.load15), (2.86, 2.8, 1.38));
        assert_eq!(
            (cpu.times.user, cpu.times.system, cpu.times.idle, cpu.times.iowait),
            (1.2, 1.1, 7.5, 1.1)
        );
    }

    #[test]
    fn odd_readings_give_no_usage() {
        let now = Ticks::parse("cpu  100 0 100 700\n");
        assert_eq!(report(now, now, "").usage_ratio, 0.0);
        assert_eq!(report(Ticks::parse(""), now, "x nan 1").usage_ratio, 0.0);
        assert_eq!(report(now, now, "x nan 1").load15, 1.0);
        assert_eq!(report(now, now, "x nan 1").load5, -1.0);
        assert_eq!(Ticks::parse("cpu  a -1 18446744073709551616\n"), Ticks::default());
    }

    #[test]
    fn cores_and_sockets_are_counted_once() {
        let block = |processor, socket, core| {
            format!(
                "processor\t: {processor}\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R)\n\
                 cpu MHz\t\t: 2000.000\nphysical id\t: {socket}\ncore id\t\t: {core}\n\n"
            )
        };
        let text = [block(0, 0, 0), block(1, 0, 0), block(2, 1, 0), block(3, 1, 1)].concat();
        let info = info(&text, "");
        assert_eq!((info.sockets, info.cores_physical, info.cores_logical), (2, 3, 4));
        assert_eq!((info.model_name.as_str(), info.vendor_id.as_str()), ("Intel(R) Xeon(R)", "GenuineIntel"));
        assert_eq!(info.frequency_mhz, 2000.0);
    }

    #[test]
    fn an_arm_board_has_one_socket_and_as_many_cores_as_processors() {
        let text =
            "processor\t: 0\nBogoMIPS\t: 108.00\n\nprocessor\t: 1\nBogoMIPS\t: 108.00\n\nModel\t: A Board\n";
        let board = info(text, "1800000\n");
        assert_eq!((board.sockets, board.cores_physical, board.cores_logical), (1, 2, 2));
        assert_eq!((board.model_name.as_str(), board.frequency_mhz), ("", 1800.0));
        assert_eq!(info("", "x"), StaticCpuInfo::default());
    }
}
