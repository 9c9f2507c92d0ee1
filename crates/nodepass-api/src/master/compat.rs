//! Whom a master follows where the original's releases differ. §3, §7.

use crate::Release;
use std::time::Duration;

/// Whom a master follows where the document and the original's releases differ.
///
/// | | `Document` | `V1_6` | `V1_14` |
/// | --- | --- | --- | --- |
/// | instance | 15 members | 15 members | with `config` and `meta` |
/// | `restart` of a new one | false | false | true |
/// | `/info` | `mem_free` | `mem_free` | `mem_used`, `alias`, `mid`; `POST` |
/// | PATCH applies | alias, action, restart | reset, restart, alias, action | alias, action, restart, meta |
/// | an unknown action | 400 | 200 | 400 |
/// | alias in POST | ignored | ignored | taken |
/// | longest alias, in bytes | 256 | any | 256 |
/// | start acts on | anything that does not run | anything that does not run | stopped |
/// | stop acts on | anything that is not stopped | running | anything that is not stopped |
/// | a process that reports no more is in error | after 3 intervals, until it reports | after 5 intervals, for good | after 3 intervals, until it reports |
/// | its log says that it fails | nothing | nothing | error |
/// | instances in error are restarted | no | no | every hour |
/// | a new key | ends event streams | leaves them open | ends event streams |
/// | `logs` of an event | of log events | of log events | always |
/// | after `shutdown` | nothing | events for 100 ms | nothing |
/// | instances in error when the master starts | stay so | stay so | are stopped |
///
/// A reset of counters holds at every level. What ran when the master was killed is stopped when it starts, unless its
/// policy starts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compat {
    /// The document.
    Document,
    /// The original's 1.6.
    V1_6,
    /// The original's 1.14.
    #[default]
    V1_14,
}

impl Compat {
    /// Returns the release whose objects and rules these are.
    #[must_use]
    pub fn release(self) -> Release {
        match self {
            Self::Document | Self::V1_6 => Release::V1_6_0,
            Self::V1_14 => Release::V1_14_0,
        }
    }

    /// Whether objects have what came after 1.6: `config`, `meta`, an alias of the master.
    pub(super) fn has_meta(self) -> bool {
        matches!(self, Self::V1_14)
    }

    pub(super) fn longest_alias(self) -> usize {
        match self {
            Self::V1_6 => usize::MAX,
            Self::Document | Self::V1_14 => 256,
        }
    }

    pub(super) fn overdue(self, report_interval: Duration) -> Option<Duration> {
        report_interval.checked_mul(if self == Self::V1_6 { 5 } else { 3 })
    }

    pub(super) fn shutdown_window(self) -> Duration {
        if self == Self::V1_6 { Duration::from_millis(100) } else { Duration::ZERO }
    }
}
