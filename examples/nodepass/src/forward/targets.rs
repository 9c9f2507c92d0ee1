//! The targets of a forwarding: whose turn it is, and what one is told first.

use crate::address::Address;
use crate::dial::{DialError, dial};
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// Where connections go, in turn.
#[derive(Debug)]
pub(super) struct Targets {
    addresses: Vec<Address>,
    turn: AtomicUsize,
    limit: Duration,
}

impl Targets {
    pub(super) fn new(addresses: Vec<Address>, limit: Duration) -> Self {
        Self { addresses, turn: AtomicUsize::new(0), limit }
    }

    /// Dials the target whose turn it is, and where it does not answer those after it, each once.
    ///
    /// # Errors
    /// What every target led to, in one text.
    pub(super) async fn dial(&self) -> Result<(TcpStream, &Address), String> {
        let count = self.addresses.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % count.max(1);
        let mut problems = String::new();
        for address in self.addresses.iter().cycle().skip(first).take(count) {
            match dial(address, self.limit).await {
                Ok(stream) => return Ok((stream, address)),
                Err(error) => {
                    let separator = if problems.is_empty() { "" } else { ", " };
                    let _ = write!(problems, "{separator}{address}: {error}");
                }
            }
        }
        Err(problems)
    }

    pub(super) async fn ping(&self, limit: Duration) -> Option<Duration> {
        let since = Instant::now();
        let answer: Result<_, DialError> = dial(self.addresses.first()?, limit).await;
        answer.ok().map(|_| since.elapsed())
    }
}

/// Tells the target whose connection it is, by a header of the PROXY protocol, version 1.
pub(super) async fn introduce(user: &TcpStream, target: &mut TcpStream) -> io::Result<()> {
    let header = header(user.peer_addr()?, user.local_addr()?);
    target.write_all(header.as_bytes()).await
}

fn header(from: SocketAddr, to: SocketAddr) -> String {
    // A listener of both families shows users of IPv4 as such of IPv6.
    let (source, destination) = (from.ip().to_canonical(), to.ip().to_canonical());
    let family = match (source.is_ipv4(), destination.is_ipv4()) {
        (true, true) => "TCP4",
        (false, false) => "TCP6",
        _ => return "PROXY UNKNOWN\r\n".to_owned(),
    };
    format!("PROXY {family} {source} {destination} {} {}\r\n", from.port(), to.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_both_ends() {
        let header = |from: &str, to: &str| header(from.parse().unwrap(), to.parse().unwrap());
        assert_eq!(header("10.0.0.1:5000", "10.0.0.2:80"), "PROXY TCP4 10.0.0.1 10.0.0.2 5000 80\r\n");
        assert_eq!(
            header("[::ffff:10.0.0.1]:5000", "[::ffff:10.0.0.2]:80"),
            "PROXY TCP4 10.0.0.1 10.0.0.2 5000 80\r\n"
        );
        assert_eq!(header("[fd00::1]:5000", "[::1]:80"), "PROXY TCP6 fd00::1 ::1 5000 80\r\n");
        assert_eq!(header("[fd00::1]:5000", "10.0.0.2:80"), "PROXY UNKNOWN\r\n");
    }
}
