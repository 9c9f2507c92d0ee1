//! Names of services in the place of port numbers, as in `localhost:http`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::OnceLock;

/// The system's table, where there is one.
const TABLE: &str = "/etc/services";

/// The longest table that is read.
const LONGEST: u64 = 4 << 20;

/// What is known without a table, or where it says nothing.
const USUAL: [(&str, u16); 16] = [
    ("domain", 53),
    ("ftp", 21),
    ("ftps", 990),
    ("gopher", 70),
    ("http", 80),
    ("https", 443),
    ("imap", 143),
    ("imaps", 993),
    ("ldap", 389),
    ("mysql", 3306),
    ("pop3", 110),
    ("pop3s", 995),
    ("postgresql", 5432),
    ("smtp", 25),
    ("ssh", 22),
    ("telnet", 23),
];

/// Returns the port of a service over TCP, by one of its names in any case. The system's table is read once.
pub(crate) fn port(name: &str) -> Option<u16> {
    static PORTS: OnceLock<BTreeMap<String, u16>> = OnceLock::new();
    // Without a table there is still what is usual.
    let ports = PORTS.get_or_init(|| table(&read().unwrap_or_default()));
    ports.get(&name.to_ascii_lowercase()).copied()
}

fn read() -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(TABLE)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads lines such as `http 80/tcp www # a comment`. Of several for a name the first counts.
fn table(text: &str) -> BTreeMap<String, u16> {
    let mut ports = BTreeMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (Some(name), Some(port)) = (words.next(), words.next()) else { continue };
        let Some(port) = port.strip_suffix("/tcp").and_then(|port| port.parse().ok()) else { continue };
        for name in std::iter::once(name).chain(words) {
            ports.entry(name.to_ascii_lowercase()).or_insert(port);
        }
    }
    for (name, port) in USUAL {
        ports.entry(name.to_owned()).or_insert(port);
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_names_and_other_names_of_tcp() {
        let text = "# all\nmail 2525/tcp\tpost Letter # old\nhttp 8080/tcp\nhttp 9/tcp\ntime 37/udp\nbad x/tcp\nodd\n\n";
        let ports = table(text);
        let port = |name: &str| ports.get(name).copied();
        assert_eq!([port("mail"), port("post"), port("letter")], [Some(2525); 3]);
        assert_eq!(port("http"), Some(8080), "the system's own comes first");
        assert_eq!([port("time"), port("bad"), port("odd"), port("old"), port("")], [None; 5]);
        assert_eq!(port("https"), Some(443));
    }

    #[test]
    fn usual_names_are_known_everywhere_and_in_any_case() {
        assert_eq!((port("https"), port("HTTPS"), port("ssh")), (Some(443), Some(443), Some(22)));
        assert_eq!((port(""), port("no-such-service"), port("+80")), (None, None, None));
    }
}
