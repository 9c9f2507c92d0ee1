//! Calls as messages of the gRPC service, for both sides, without any transport. §2.3, §5, §11.4.
//!
//! ```text
//! agent: Call ── request ──▶ path, metadata, message ═══▶ read_request ──▶ Incoming ── decode ──▶ Call
//!        Reply ◀─ read_reply ── message ◀════════════════ reply ◀── Reply
//!        Failure(code) ◀─────── code ◀═══════════════════ status ◀── Refusal
//! ```
//!
//! A message is here without its frame; [`frame`] and [`unframe`] put it into the body of a call and take it out again, for
//! transports that do not.
//!
//! | rule | on reading |
//! | --- | --- |
//! | bytes that are no such message: another wire type, cut short, not UTF-8 | refused as a whole |
//! | ids 0 or negative, revisions and counters negative, fractions in whole numbers, infinite rates | refused, with the field's path as over HTTP: `entries[3].bytesUp` |
//! | an address of an online user that is none | left out and counted, [`OnlineUsers::unreadable`](crate::message::OnlineUsers::unreadable) |
//! | an instant of an online user's address that is none | absent |
//! | the state of MTProto inbounds that is not readable | `None`, the rest counts |
//! | an optional field that is plain in the schema, and zero or empty | absent |
//!
//! # Another schema
//! The original's field numbers and types are not public. Whoever has the real file puts it at `proto/node-service.proto`
//! and runs
//!
//! ```sh
//! BLESS=1 cargo test -p core-node-proto --test generated
//! ```
//!
//! which renews [`pb`](crate::pb) and the stubs. Everything else stays: messages and fields are reached by name, numbers may
//! be of any integer or float type, `optional` or not, names in `camelCase` or `snake_case`, `lastSeen` a text or a number
//! (milliseconds, or seconds where 32 bits are too few). More fields than those known here do no harm.

mod convert;
pub(crate) mod fields;
mod frame;
#[cfg(feature = "grpc")]
mod stubs;

pub use crate::key_header::KEY_HEADER;
pub use frame::{FrameError, frame, unframe};
#[cfg(feature = "grpc")]
pub use stubs::{node_service_client, node_service_server};

use crate::call::{Body, Call, Failure, GrpcCode, Incoming, KeyPlacement, Refusal, Reply};
use crate::message::FieldError;
use crate::{Method, Secret, key_header};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

/// A call as an agent sends it.
///
/// `Debug` hides the metadata, and of the message, in which a key may stand, shows the length.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrpcRequest {
    /// The path, `/nodeservice.NodeService/Heartbeat`.
    pub path: &'static str,
    /// The metadata [`KEY_HEADER`], marked as sensitive, if the key goes there.
    pub metadata: Option<HeaderValue>,
    /// The message, without its frame.
    pub message: Bytes,
}

impl std::fmt::Debug for GrpcRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrpcRequest")
            .field("path", &self.path)
            .field("metadata", &self.metadata)
            .field("message", &self.message.len())
            .finish()
    }
}

/// Turns a call into a request. `None` if the call has no gRPC method. The message is not checked: numbers that do not fit
/// become the nearest that do. A key that no metadata can carry is left out of it, and Core then refuses the call.
#[must_use]
pub fn request(call: &Call, key: Option<&Secret>, placement: KeyPlacement) -> Option<GrpcRequest> {
    let in_field = key.filter(|_| placement != KeyPlacement::Metadata);
    let in_metadata = key.filter(|_| placement != KeyPlacement::Field);
    let message = convert::write_call(call, in_field)?;
    Some(GrpcRequest {
        path: call.method().grpc_path()?,
        metadata: in_metadata.and_then(key_header::write),
        message: message.into(),
    })
}

/// Reads what Core answered to a method with the code OK.
///
/// # Errors
/// The message cannot be read, or is a configuration that cannot be taken.
pub fn read_reply(method: Method, message: &[u8]) -> Result<Reply, Failure> {
    convert::read_reply(method, message)
}

/// Takes a call as it comes in, its message unread. Of the metadata only [`KEY_HEADER`] is looked at.
///
/// # Errors
/// [`Refusal::Unknown`] if there is no such method.
pub fn read_request(path: &str, metadata: &HeaderMap, message: Bytes) -> Result<Incoming, Refusal> {
    let method = Method::from_grpc_path(path).ok_or(Refusal::Unknown)?;
    Ok(Incoming { method, credential: key_header::read(metadata), body: Body::Protobuf(message) })
}

/// Reads the message of a request: what it says, and the key in its field `authKey` unless that is empty.
///
/// # Errors
/// The first field that breaks a rule; with an empty path for bytes that are no such message, and for a method that gRPC
/// does not have.
pub fn decode(method: Method, message: &[u8]) -> Result<(Call, Option<Secret>), FieldError> {
    convert::read_call(method, message)
}

/// Returns the message of a reply to a method.
#[must_use]
pub fn reply(method: Method, reply: &Reply) -> Bytes {
    match reply {
        Reply::Config(config) => config.config.protobuf_body(|| convert::write_reply(method, reply)),
        _ => convert::write_reply(method, reply).into(),
    }
}

/// Returns the code of a refusal, and a text for people that holds nothing secret.
#[must_use]
pub fn status(refusal: &Refusal) -> (GrpcCode, String) {
    let code = match refusal {
        Refusal::Unauthorized => GrpcCode::Unauthenticated,
        Refusal::Invalid(_) => GrpcCode::InvalidArgument,
        Refusal::TooLarge => GrpcCode::ResourceExhausted,
        Refusal::Unavailable => GrpcCode::Unavailable,
        Refusal::Unknown => GrpcCode::Unimplemented,
    };
    (code, refusal.to_string())
}
