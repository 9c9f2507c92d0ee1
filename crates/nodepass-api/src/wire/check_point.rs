//! What an instance's process reports about itself. §5.

use super::Traffic;
use std::fmt;

/// A report of figures, as it stands somewhere in a line of a process: `CHECK_POINT|MODE=1|PING=3ms|POOL=0|…`.
///
/// A number that does not fit its type is `None`: a master leaves what it had.
///
/// ```
/// use nodepass_api::wire::CheckPoint;
///
/// let line = "… CHECK_POINT|MODE=1|PING=3ms|POOL=0|TCPS=2|UDPS=0|TCPRX=1000|TCPTX=2000|UDPRX=0|UDPTX=0";
/// let point = CheckPoint::find(line).expect("there is one");
/// assert_eq!((point.mode, point.tcps, point.tcptx), (Some(1), Some(2), Some(2000)));
/// assert!(line.ends_with(&point.to_string()));
/// assert_eq!(CheckPoint::find("CHECK_POINT|MODE=1"), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the form of the line is fixed")]
pub struct CheckPoint {
    /// The run mode: 1 or 2.
    pub mode: Option<i32>,
    /// Milliseconds over the control connection, or of a TCP connect to the target.
    pub ping: Option<i32>,
    /// Idle pooled connections.
    pub pool: Option<i32>,
    /// TCP connections in use.
    pub tcps: Option<i32>,
    /// UDP associations in use.
    pub udps: Option<i32>,
    /// Bytes of TCP read since the process began.
    pub tcprx: Option<u64>,
    /// Bytes of TCP written since the process began.
    pub tcptx: Option<u64>,
    /// Bytes of UDP read since the process began.
    pub udprx: Option<u64>,
    /// Bytes of UDP written since the process began.
    pub udptx: Option<u64>,
}

const BEGIN: &str = "CHECK_POINT|";

impl CheckPoint {
    /// Returns a report of these figures.
    #[must_use]
    pub fn new(mode: i32, ping: i32, pool: i32, tcps: i32, udps: i32, traffic: Traffic) -> Self {
        Self {
            mode: Some(mode),
            ping: Some(ping),
            pool: Some(pool),
            tcps: Some(tcps),
            udps: Some(udps),
            tcprx: Some(traffic.tcprx),
            tcptx: Some(traffic.tcptx),
            udprx: Some(traffic.udprx),
            udptx: Some(traffic.udptx),
        }
    }

    /// Finds the first report in a line.
    #[must_use]
    pub fn find(line: &str) -> Option<Self> {
        line.match_indices(BEGIN).find_map(|(at, _)| Self::parse(&line[at + BEGIN.len()..]))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut take = |before: &str, behind: &str| {
            let number = rest.strip_prefix(before)?;
            let length = number.bytes().take_while(u8::is_ascii_digit).count();
            let (digits, after) = number.split_at(length);
            rest = after.strip_prefix(behind)?;
            (length > 0).then_some(digits)
        };
        Some(Self {
            mode: take("MODE=", "|")?.parse().ok(),
            ping: take("PING=", "ms|")?.parse().ok(),
            pool: take("POOL=", "|")?.parse().ok(),
            tcps: take("TCPS=", "|")?.parse().ok(),
            udps: take("UDPS=", "|")?.parse().ok(),
            tcprx: take("TCPRX=", "|")?.parse().ok(),
            tcptx: take("TCPTX=", "|")?.parse().ok(),
            udprx: take("UDPRX=", "|")?.parse().ok(),
            udptx: take("UDPTX=", "")?.parse().ok(),
        })
    }
}

impl fmt::Display for CheckPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let small = |number: Option<i32>| number.unwrap_or_default();
        let large = |number: Option<u64>| number.unwrap_or_default();
        write!(f, "{BEGIN}MODE={}|PING={}ms|", small(self.mode), small(self.ping))?;
        write!(f, "POOL={}|TCPS={}|UDPS={}|", small(self.pool), small(self.tcps), small(self.udps))?;
        write!(f, "TCPRX={}|TCPTX={}|", large(self.tcprx), large(self.tcptx))?;
        write!(f, "UDPRX={}|UDPTX={}", large(self.udprx), large(self.udptx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_its_fields_in_order() {
        let traffic = Traffic { tcprx: u64::MAX, tcptx: 7, udprx: 8, udptx: 9 };
        assert_eq!(
            CheckPoint::new(1, 2, 3, 4, 5, traffic).to_string(),
            "CHECK_POINT|MODE=1|PING=2ms|POOL=3|TCPS=4|UDPS=5|TCPRX=18446744073709551615|TCPTX=7|UDPRX=8|UDPTX=9"
        );
    }
}
