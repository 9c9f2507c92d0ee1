//! What an agent asks of its driver, and the news it has.

use super::Snapshot;
use crate::attribution::Anomaly;
use crate::call::{Call, Link};
use crate::config::{NodeConfig, Warning};
use crate::message::{FieldError, JsonObject, OutboundItem, UsageEntry};
use crate::value::{Address, NodeId, Revision, Timestamp, ValueError};
use crate::{Method, Secret};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Names a call; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(super) u64);

/// Names a store; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub(super) u64);

/// Names an application of a configuration; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApplyId(pub(super) u64);

/// Work for the driver, in order. `Debug` shows ids, kinds and lengths.
#[expect(clippy::exhaustive_enums, reason = "new work must not compile away in a driver")]
#[derive(Clone)]
pub enum Output {
    /// Send this, then report its outcome once, by `handle_reply` or `handle_failure`.
    Call {
        /// Names the call.
        id: CallId,
        /// Which way it goes.
        link: Link,
        /// What it says.
        call: Call,
        /// The key that it carries; none for a registration.
        key: Option<Secret>,
        /// How long from now on until the agent gives it up by [`Output::Cancel`]; for transports that tell the peer.
        timeout: Duration,
    },
    /// The outcome is no longer wanted; abort if you can.
    Cancel(CallId),
    /// Write this in the place of what is there, all of it or nothing, then report `handle_stored` once.
    Store {
        /// Names the store.
        id: StoreId,
        /// All that has to survive a restart. It holds the key.
        snapshot: Snapshot,
    },
    /// Look at something, then report it by the input for it. What cannot be looked at may be left out.
    Sample(Sampling),
    /// Make the proxies run this, then report `handle_applied` once.
    Apply {
        /// Names it.
        id: ApplyId,
        /// The configuration. It holds users' keys.
        config: Arc<NodeConfig>,
    },
    /// Tell the application.
    Event(Event),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { id, link, call, key: _, timeout } => {
                write!(f, "Call({}, {:?} by {link:?}, {timeout:?})", id.0, call.method())
            }
            Self::Cancel(id) => write!(f, "Cancel({})", id.0),
            Self::Store { id, snapshot } => write!(f, "Store({}, {snapshot:?})", id.0),
            Self::Sample(sampling) => write!(f, "Sample({sampling:?})"),
            Self::Apply { id, config } => write!(f, "Apply({}, revision {})", id.0, config.revision()),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}

/// What is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "new work must not compile away in a driver")]
pub enum Sampling {
    /// The proxies' counters, for `handle_counters`.
    Counters,
    /// The machine and its proxies, for `handle_stats`.
    Stats,
    /// Who is connected, for `handle_online`.
    Online,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// There is neither a key nor a code: [`register`](super::Agent::register) or [`set_key`](super::Agent::set_key) is needed.
    NeedsCode,
    /// What was stored could not be read. The agent begins without a key, and without last values of counters: traffic of
    /// proxies that were started by somebody else is counted from now on.
    StateLost,
    /// The gRPC target is not this machine and is reached without TLS (§15).
    CleartextTarget,
    /// Core has taken the node.
    Registered {
        /// The node's id.
        node_id: NodeId,
    },
    /// Core does not take the node; another code is needed.
    RegistrationRefused {
        /// Why.
        reason: RegistrationRefusal,
        /// Whether an earlier try may have used the code up (§3.6).
        may_be_used: bool,
    },
    /// The key is stored, and reports begin or go on.
    Active,
    /// Core does not know the key. Traffic is counted on; a heartbeat tries again from time to time.
    Unauthorized,
    /// Core answers `UNKNOWN` to everything, which some do when they do not know the key (§2.9).
    SuspectedAuth,
    /// Core asks again and again for the revision that it was told: its schema may be another one (§14).
    SchemaMismatch {
        /// The revision.
        revision: Revision,
    },
    /// Calls go another way from now on.
    LinkChanged(Link),
    /// Core does not have a call on a link.
    Missing {
        /// The call.
        method: Method,
        /// The link.
        link: Link,
    },
    /// Core will never take this call as it is; what it carried is dropped, unless another event says what became of it.
    Refused(Method),
    /// The configuration has a defect and is taken all the same.
    ConfigWarning(Warning),
    /// Core has gone back to a lower revision, which is applied.
    WentBack {
        /// The revision so far.
        from: Revision,
        /// The lower one.
        to: Revision,
    },
    /// A configuration cannot be taken; Core is told.
    ConfigRefused {
        /// `CONFIG_INVALID` or `CONFIG_TOO_LARGE`.
        code: &'static str,
    },
    /// A configuration is in use.
    Applied {
        /// Its revision.
        revision: Revision,
    },
    /// A configuration could not be applied; Core is told, and the one before stays.
    ApplyFailed {
        /// Its revision.
        revision: Revision,
    },
    /// Core knows that a configuration is in use.
    Confirmed {
        /// Its revision.
        revision: Revision,
    },
    /// Core does not want to know that a configuration is in use; it is not told again.
    ConfirmationDropped {
        /// Its revision.
        revision: Revision,
    },
    /// The state could not be stored. It is tried again; nothing is lost while the agent lives.
    StoreFailed,
    /// Something about an attribution is odd. At most [`Config::max_anomalies`](super::Config::max_anomalies) of them are told
    /// within a usage period.
    Anomaly(Anomaly),
    /// So many more oddities there were in the last usage period.
    MoreAnomalies(u64),
    /// Traffic that Core is not sent any more.
    Returned(Returned),
    /// What the proxies' statistics say cannot be sent.
    StatsUnusable(FieldError),
    /// The agent is closed; nothing follows.
    Closed {
        /// Whether all of its state was stored.
        is_stored: bool,
    },
}

/// Why Core does not take a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationRefusal {
    /// It answered with a status.
    #[error("HTTP status {0}")]
    Status(u16),
    /// Its answer cannot be read, or holds a key that can be none.
    #[error("unusable answer: {0}")]
    Unusable(FieldError),
}

/// Traffic that Core is not sent any more, with its bytes.
///
/// It is told once it is stored that it is not sent. After a crash it may be told again, with the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Returned {
    /// Counts what was returned in the life of the node, restarts included.
    pub number: u64,
    /// Why.
    pub reason: ReturnReason,
    /// What.
    pub content: ReturnedContent,
}

/// Why traffic is not sent any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "an application decides by it what to do")]
pub enum ReturnReason {
    /// Core refuses it: a dead letter. Nothing of it was taken.
    Refused,
    /// Core may have taken it, and [`Policy::Quarantine`](super::Policy::Quarantine) or its age forbids to send it again.
    Quarantined,
    /// Core may have taken it, and [`Policy::Discard`](super::Policy::Discard) says not to care.
    Discarded,
}

/// Traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two kinds of traffic")]
pub enum ReturnedContent {
    /// Of users.
    Usage(Arc<[UsageEntry]>),
    /// Of outbounds.
    Outbound(Arc<[OutboundItem]>),
}

/// A user that is connected, as a proxy knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "samples are written as struct literals")]
pub struct Seen {
    /// The user's name in the proxy. One that is no [`Identity`](crate::attribution::Identity) is left out.
    pub name: Box<str>,
    /// From where, if that is known.
    pub ip: Option<Address>,
    /// When it was last seen there; `None` is now.
    pub last_seen: Option<Timestamp>,
}

/// Why a configuration could not be applied.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("not applied")]
#[expect(clippy::exhaustive_structs, reason = "the application writes it as a struct literal")]
pub struct ApplyFailed {
    /// For people.
    pub message: String,
    /// Which kind of error it is, up to 256 characters.
    pub code: Option<String>,
    /// More about it.
    pub details: Option<JsonObject>,
}

impl fmt::Debug for ApplyFailed {
    /// Hides the message, which proxies fill with pieces of their configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApplyFailed")
            .field("message_bytes", &self.message.len())
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The agent is closed, or about to be.
    #[error("the agent is closed")]
    Closed,
    /// It has a key, or asks for one.
    #[error("the node is registered, or about to be")]
    Registered,
    /// The code, or what is reported, breaks a rule.
    #[error("{0}")]
    Invalid(FieldError),
    /// The key can be none.
    #[error("the key {0}")]
    Key(ValueError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_show_ids_and_kinds() {
        let key = Some(Secret::new("secret"));
        let timeout = Duration::from_secs(10);
        let call =
            Output::Call { id: CallId(3), link: Link::Grpc, call: Call::GetLatestConfig, key, timeout };
        assert_eq!(format!("{call:?}"), "Call(3, GetLatestConfig by Grpc, 10s)");
        assert_eq!(format!("{:?}", Output::Cancel(CallId(3))), "Cancel(3)");
        assert_eq!(format!("{:?}", Output::Event(Event::Active)), "Event(Active)");
    }
}
