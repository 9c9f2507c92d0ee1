//! Sockets and processes: `/proc/net/sockstat`, `/proc/net/sockstat6` and the directories of `/proc`.

use super::{entries, text};
use ithiltir_proto::wire::{Connections, Processes};

/// Counts the sockets. These files cost the same however many sockets there are, unlike `/proc/net/tcp`.
pub(super) fn read() -> Connections {
    parse(&text("/proc/net/sockstat"), &text("/proc/net/sockstat6"))
}

fn parse(sockets: &str, sockets6: &str) -> Connections {
    // The first file counts the waiting ones (`tw`) of both families.
    let tcp =
        [value(sockets, "TCP:", "inuse"), value(sockets, "TCP:", "tw"), value(sockets6, "TCP6:", "inuse")];
    let udp = [value(sockets, "UDP:", "inuse"), value(sockets6, "UDP6:", "inuse")];
    let sum = |counts: &[i64]| counts.iter().fold(0, |sum: i64, count| sum.saturating_add(*count));
    Connections { tcp_count: sum(&tcp), udp_count: sum(&udp) }
}

/// Returns the number after a name; 0 where there is none.
fn value(text: &str, line: &str, name: &str) -> i64 {
    let fields = text.lines().find_map(|candidate| candidate.strip_prefix(line)).unwrap_or_default();
    let mut words = fields.split_whitespace().skip_while(|word| *word != name).skip(1);
    words.next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

pub(super) fn processes() -> Processes {
    let directories = entries("/proc");
    let processes = directories.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    Processes { process_count: processes.count() as i64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_and_waiting_sockets_count() {
        let text = "sockets: used 11\nTCP: inuse 5 orphan 0 tw 3 alloc 1 mem 230\nUDP: inuse 2 mem 0\n\
                    UDPLITE: inuse 9\n";
        let text6 = "TCP6: inuse 4\nUDP6: inuse 1\nUDPLITE6: inuse 9\n";
        assert_eq!(parse(text, text6), Connections { tcp_count: 12, udp_count: 3 });
    }

    #[test]
    fn odd_content_counts_nothing() {
        assert_eq!(parse("", ""), Connections::default());
        assert_eq!(parse("TCP: inuse\nUDP: inuse x\n", "TCP6:\n"), Connections::default());
    }
}
