//! Calls of a node and what comes of them, whichever way they travel. §1.6, §9.3, §11.
//!
//! ```text
//! agent                                            Core
//! Call ── http / grpc ──▶ request … request ──▶ Incoming
//!                                                  │
//! Reply or Failure ◀── response … response ◀── Reply or Refusal
//! ```
//!
//! The state machines know only these types. The bindings turn them into requests and responses and back; they are pure
//! functions, so any transport will do.

mod failure;
mod incoming;

pub use failure::{Delivery, Failure, FailureKind, GrpcCode, Outcome};
pub use incoming::{Body, Credential, Incoming, Refusal};

use crate::Method;
use crate::config::{NodeConfig, Warning};
use crate::message::{
    Acknowledgement, ConfigApplied, Heartbeat, HeartbeatReply, NodeError, NodeStats, OnlineUsers,
    OutboundUsage, Register, Registered, SessionEvents, Usage,
};
use std::sync::Arc;

/// A call of a node, with what it says.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these ten calls")]
pub enum Call {
    /// Asks for a key.
    Register(Register),
    /// The node is alive.
    Heartbeat(Heartbeat),
    /// Traffic of users.
    ReportUsage(Usage),
    /// Traffic of outbounds.
    ReportOutboundUsage(OutboundUsage),
    /// Users came and went.
    ReportSessionEvents(SessionEvents),
    /// Asks for the configuration.
    GetLatestConfig,
    /// A configuration is in use.
    ConfirmConfigApplied(ConfigApplied),
    /// Something failed at the node.
    ReportError(NodeError),
    /// State of the machine and its proxies.
    ReportNodeStats(NodeStats),
    /// Who is connected.
    ReportOnlineUsers(OnlineUsers),
}

impl Call {
    /// Returns which call it is.
    #[must_use]
    pub fn method(&self) -> Method {
        match self {
            Self::Register(_) => Method::Register,
            Self::Heartbeat(_) => Method::Heartbeat,
            Self::ReportUsage(_) => Method::ReportUsage,
            Self::ReportOutboundUsage(_) => Method::ReportOutboundUsage,
            Self::ReportSessionEvents(_) => Method::ReportSessionEvents,
            Self::GetLatestConfig => Method::GetLatestConfig,
            Self::ConfirmConfigApplied(_) => Method::ConfirmConfigApplied,
            Self::ReportError(_) => Method::ReportError,
            Self::ReportNodeStats(_) => Method::ReportNodeStats,
            Self::ReportOnlineUsers(_) => Method::ReportOnlineUsers,
        }
    }
}

/// What Core says to a call that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these four replies")]
pub enum Reply {
    /// To [`Method::Register`].
    Registered(Registered),
    /// To [`Method::Heartbeat`].
    Heartbeat(HeartbeatReply),
    /// To [`Method::GetLatestConfig`].
    Config(ConfigReply),
    /// To all others.
    Acknowledged(Acknowledgement),
}

impl Reply {
    /// Whether it acknowledges: it says `ok`, or carries what was asked for. A reply that does not is a definite "not
    /// taken" over gRPC, and tells nothing over HTTP (§9.3).
    #[must_use]
    pub fn is_ok(&self) -> bool {
        match self {
            Self::Registered(_) | Self::Config(_) => true,
            Self::Heartbeat(reply) => reply.ok,
            Self::Acknowledged(reply) => reply.ok,
        }
    }
}

/// A configuration as a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct ConfigReply {
    /// The configuration, which may be many megabytes.
    pub config: Arc<NodeConfig>,
    /// What was odd about it when it was read. Nothing of it travels.
    pub warnings: Vec<Warning>,
}

/// How a call travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these two ways")]
pub enum Link {
    /// By gRPC.
    Grpc,
    /// By HTTP.
    Http,
}

/// Where a gRPC request carries the key. §2.3, §2.8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are two places")]
pub enum KeyPlacement {
    /// In the metadata.
    #[default]
    Metadata,
    /// In the field `authKey` of the request.
    Field,
    /// In both.
    Both,
}
