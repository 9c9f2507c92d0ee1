//! Network interfaces: `/proc/net/dev` and `/sys/class/net`.

use super::text;
use crate::host::network::{Direction, InterfaceCounters, InterfaceTable, interface};
use ithiltir_proto::wire::{List, NetworkInterface};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Reads `/proc/net/dev`; lines of another form are left out.
pub(super) fn parse(text: &str) -> InterfaceTable {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<(String, InterfaceCounters)> {
    // A long name stands right before the first number, and the name of an alias has a colon itself.
    let (name, fields) = line.rsplit_once(':')?;
    let mut words = fields.split_whitespace();
    let mut numbers = [0; 12];
    for number in &mut numbers {
        *number = words.next()?.parse().ok()?;
    }
    let counters = InterfaceCounters { received: direction(&numbers[..4])?, sent: direction(&numbers[8..])? };
    Some((name.trim().to_owned(), counters)).filter(|(name, _)| !name.is_empty())
}

fn direction(numbers: &[u64]) -> Option<Direction> {
    let &[bytes, packets, errors, drops] = numbers else {
        return None;
    };
    Some(Direction { bytes, packets, errors, drops })
}

/// Returns the figures of the interfaces that count.
pub(super) fn report(
    now: &InterfaceTable,
    before: &InterfaceTable,
    elapsed: Duration,
) -> List<NetworkInterface> {
    let addressed = parse_addressed(&text("/proc/net/route"), &text("/proc/net/if_inet6"));
    let traits: Vec<_> = now.keys().map(|name| Traits::read(name, addressed.contains(name))).collect();
    let chosen = choose(&traits);
    let figures = now.iter().filter(|(name, _)| chosen.contains(&name.as_str()));
    figures.map(|(name, counters)| interface(name, *counters, before.get(name), elapsed)).collect()
}

/// What decides whether an interface counts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Traits<'a> {
    name: &'a str,
    up: bool,
    loopback: bool,
    physical: bool,
    addressed: bool,
}

impl<'a> Traits<'a> {
    fn read(name: &'a str, addressed: bool) -> Self {
        const UP: u32 = 1;
        const LOOPBACK: u32 = 8;
        let directory = Path::new("/sys/class/net").join(name);
        let flags = text(directory.join("flags"));
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap_or_default();
        Self {
            name,
            up: flags & UP != 0,
            loopback: flags & LOOPBACK != 0,
            physical: directory.join("device").exists(),
            addressed,
        }
    }
}

/// Returns the interfaces that are up and hardware, else those that are up and have an address, else all.
fn choose<'a>(interfaces: &[Traits<'a>]) -> Vec<&'a str> {
    let names = |counts: fn(&Traits<'_>) -> bool| -> Vec<&'a str> {
        interfaces.iter().filter(|interface| counts(interface)).map(|interface| interface.name).collect()
    };
    let choices: [fn(&Traits<'_>) -> bool; 2] = [
        |interface| interface.up && interface.physical,
        |interface| interface.up && interface.addressed && !interface.loopback,
    ];
    choices.into_iter().map(names).find(|names| !names.is_empty()).unwrap_or_else(|| names(|_| true))
}

/// Returns the interfaces with an address: those with a route of IPv4 or an address of IPv6.
fn parse_addressed(routes: &str, addresses: &str) -> BTreeSet<String> {
    let routed = routes.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    let addressed = addresses.lines().filter_map(|line| line.split_whitespace().nth(5));
    routed.chain(addressed).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_next_to_long_names_and_aliases() {
        let table = parse(
            "Inter-|   Receive                    |  Transmit\n\
             \x20face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop\n\
             \x20   lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0  0  0  0\n\
             enx0123456789ab:98613912 7448 1 2 3 4 5 6 706757 6219 7 8 9 10 11 12\n\
             eth0:1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  odd: 1 2 x\n: 1 2 3 4 5 6 7 8 9 10 11 12\n",
        );
        assert_eq!(table.keys().collect::<Vec<_>>(), ["enx0123456789ab", "eth0:1", "lo"]);
        let long = table["enx0123456789ab"];
        assert_eq!(long.received, Direction { bytes: 98_613_912, packets: 7448, errors: 1, drops: 2 });
        assert_eq!(long.sent, Direction { bytes: 706_757, packets: 6219, errors: 7, drops: 8 });
    }

    fn traits(name: &str, [up, physical, addressed]: [bool; 3]) -> Traits<'_> {
        Traits { name, up, loopback: name == "lo", physical, addressed }
    }

    #[test]
    fn hardware_counts_before_addresses_before_everything() {
        let lo = traits("lo", [true, false, true]);
        let bridge = traits("br0", [true, false, true]);
        let unplugged = traits("eth1", [false, true, true]);
        let hardware = traits("eth0", [true, true, false]);
        assert_eq!(choose(&[bridge.clone(), hardware, unplugged.clone(), lo.clone()]), ["eth0"]);
        assert_eq!(choose(&[bridge, unplugged.clone(), lo.clone()]), ["br0"]);
        assert_eq!(choose(&[unplugged, lo]), ["eth1", "lo"]);
        assert!(choose(&[]).is_empty());
    }

    #[test]
    fn addresses_are_found_in_both_families() {
        let names = parse_addressed(
            "Iface\tDestination\tGateway\neth0\t00000000\t0100000A\n",
            "fe80000000000000 03 40 20 80    wlan0\nodd\n",
        );
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["eth0", "wlan0"]);
    }
}
