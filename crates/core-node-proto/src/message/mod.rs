//! Requests and replies, independent of how they travel, and their JSON bodies for HTTP. §3, §4, §5.
//!
//! | request | reply | HTTP | gRPC |
//! | --- | --- | --- | --- |
//! | [`Register`] | [`Registered`] | `POST /node/register` | – |
//! | [`Heartbeat`] | [`HeartbeatReply`] | `POST /node/heartbeat` | `Heartbeat` |
//! | [`Usage`] | [`Acknowledgement`] | `POST /node/usage` | `ReportUsage` |
//! | [`OutboundUsage`] | [`Acknowledgement`] | `POST /node/outbound-usage` | `ReportOutboundUsage` |
//! | [`SessionEvents`] | [`Acknowledgement`] | `POST /node/session-events` | – |
//! | [`ConfigApplied`] | [`Acknowledgement`] | `POST /node/config/applied` | `ConfirmConfigApplied` |
//! | [`NodeError`] | [`Acknowledgement`] | `POST /node/error` | – |
//! | [`NodeStats`] | [`Acknowledgement`] | – | `ReportNodeStats` |
//! | [`OnlineUsers`] | [`Acknowledgement`] | – | `ReportOnlineUsers` |
//! | | [`ErrorBody`] | refusals | – |
//! | | [`RuntimeStatus`] | `GET /runtime-status` at a node | – |
//! | | [`StoredRuntimeStatus`] | `GET /admin/nodes/:id/runtime-status` | – |
//!
//! What has a body over HTTP implements [`HttpBody`]. Readers ignore unknown members, take null as absent, and take
//! numbers with a whole value only (`5`, `5.0`, `5e0`; neither `5.5` nor `"5"`); of a member that is given twice the
//! last counts. Writers leave absent members out, except `subscriptionId`, which is null. A body is read in one pass
//! and kept only as its message: reading costs time and memory proportional to its length, which is the host's to
//! limit.
//!
//! A message that breaks a rule is a [`FieldError`], which names the field: `entries[3].bytesUp is not from 0 to
//! 9007199254740991`.

mod config_applied;
mod error_body;
mod field_error;
mod heartbeat;
mod json;
mod mtproto;
mod node_error;
mod online;
mod outbound;
mod register;
mod reply;
mod runtime_status;
mod session;
mod stats;
mod usage;

pub use crate::json::MAX_JSON_DEPTH;
pub use config_applied::ConfigApplied;
pub use error_body::ErrorBody;
pub use field_error::FieldError;
pub use heartbeat::{Heartbeat, HeartbeatReply};
pub use json::{HttpBody, JsonObject};
pub use mtproto::{MtProtoStatus, MtProtoStatuses};
pub use node_error::NodeError;
pub use online::{OnlineIp, OnlineUser, OnlineUsers};
pub use outbound::{OutboundItem, OutboundUsage};
pub use register::{Register, Registered};
pub use reply::Acknowledgement;
pub use runtime_status::{RuntimeStatus, StoredRuntimeStatus};
pub use session::{SessionEvent, SessionEvents};
pub use stats::{NodeStats, SystemStats, XrayStats};
pub use usage::{Usage, UsageEntry};

/// The greatest number of characters of texts that have no limit of their own: codes, names, regions, domains, tags.
/// §3.
pub const MAX_TEXT_CHARACTERS: usize = 256;
