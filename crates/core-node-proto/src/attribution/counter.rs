//! The names of Xray's traffic counters.

use std::fmt;

const TRAFFIC: &str = ">>>traffic>>>";
const KINDS: [CounterKind; 3] = [CounterKind::User, CounterKind::Inbound, CounterKind::Outbound];
const DIRECTIONS: [Direction; 2] = [Direction::Up, Direction::Down];

/// What a counter counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CounterKind {
    /// A user, by the e-mail that stands in the configuration.
    User,
    /// An inbound, by its tag.
    Inbound,
    /// An outbound, by its tag.
    Outbound,
}

impl CounterKind {
    /// Returns how names begin: `user`, `inbound` or `outbound`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// Which way the bytes go, seen from the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are two ways")]
pub enum Direction {
    /// From the user: `uplink`, which reports call bytesUp.
    Up,
    /// To the user: `downlink`, which reports call bytesDown.
    Down,
}

impl Direction {
    /// Returns how names end: `uplink` or `downlink`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "uplink",
            Self::Down => "downlink",
        }
    }
}

/// The name of a traffic counter, `user>>>E>>>traffic>>>uplink` and the like (§8.5).
///
/// ```
/// use core_node_proto::attribution::{Counter, CounterKind, Direction};
///
/// let counter = Counter::parse("outbound>>>direct>>>traffic>>>downlink").ok_or("no counter")?;
/// assert_eq!((counter.kind(), counter.key()), (CounterKind::Outbound, "direct"));
/// assert_eq!(counter.direction(), Direction::Down);
/// assert_eq!(counter.to_string(), "outbound>>>direct>>>traffic>>>downlink");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counter<'a> {
    kind: CounterKind,
    key: &'a str,
    direction: Direction,
}

impl<'a> Counter<'a> {
    /// Names a counter, `None` for an empty key.
    #[must_use]
    pub fn new(kind: CounterKind, key: &'a str, direction: Direction) -> Option<Self> {
        (!key.is_empty()).then_some(Self { kind, key, direction })
    }

    /// Reads a name from both of its ends, since a tag may contain `>>>` itself. `None` if it is no traffic counter, as
    /// `user>>>E>>>online` is none.
    #[must_use]
    pub fn parse(name: &'a str) -> Option<Self> {
        let begins = |kind: CounterKind| name.strip_prefix(kind.as_str())?.strip_prefix(">>>");
        let (kind, rest) = KINDS.into_iter().find_map(|kind| Some((kind, begins(kind)?)))?;
        let ends = |direction: Direction| rest.strip_suffix(direction.as_str())?.strip_suffix(TRAFFIC);
        let (direction, key) =
            DIRECTIONS.into_iter().find_map(|direction| Some((direction, ends(direction)?)))?;
        Self::new(kind, key, direction)
    }

    /// Returns what it counts for.
    #[must_use]
    pub fn kind(self) -> CounterKind {
        self.kind
    }

    /// Returns the user's e-mail or the tag. Not empty.
    #[must_use]
    pub fn key(self) -> &'a str {
        self.key
    }

    /// Returns which way its bytes go.
    #[must_use]
    pub fn direction(self) -> Direction {
        self.direction
    }
}

impl fmt::Display for Counter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>>>{}{TRAFFIC}{}", self.kind.as_str(), self.key, self.direction.as_str())
    }
}
