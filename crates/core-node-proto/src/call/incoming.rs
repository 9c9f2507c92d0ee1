//! What a transport hands to Core, and how Core says no. §2, §11.

use super::Call;
use crate::message::FieldError;
use crate::{Method, Secret};
use bytes::Bytes;
use std::fmt;

/// A call as it comes in: route known, key and body not looked at yet, since Core checks them in this order (§2.11).
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "transports write it as a struct literal")]
pub struct Incoming {
    /// Which call.
    pub method: Method,
    /// The key that came beside the body.
    pub credential: Credential,
    /// What it says.
    pub body: Body,
}

/// The key beside a body: an HTTP header, or gRPC metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is none, one, or nonsense")]
pub enum Credential {
    /// There is none, or an empty one. Over gRPC the field of the request decides then.
    Absent,
    /// There is one.
    Key(Secret),
    /// There are two or more, or it has bytes that no key has: refused, whatever the field says (§2.5, §2.7).
    Unusable,
}

/// What a call says, read or not.
#[derive(Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these encodings")]
pub enum Body {
    /// Read already. It must be of the method beside it.
    Call(Call),
    /// JSON, from HTTP.
    Json(Bytes),
    /// Protobuf, from gRPC, without its frame.
    Protobuf(Bytes),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(call) => f.debug_tuple("Call").field(&call.method()).finish(),
            Self::Json(body) => write!(f, "Json({} bytes)", body.len()),
            Self::Protobuf(message) => write!(f, "Protobuf({} bytes)", message.len()),
        }
    }
}

/// Why Core does not take a call. §11.4.
///
/// | refusal | HTTP | gRPC |
/// | --- | --- | --- |
/// | [`Unauthorized`](Self::Unauthorized) | 401 | `UNAUTHENTICATED` |
/// | [`Invalid`](Self::Invalid) | 400 | `INVALID_ARGUMENT` |
/// | [`TooLarge`](Self::TooLarge) | 413 | `RESOURCE_EXHAUSTED` |
/// | [`Unavailable`](Self::Unavailable) | 503 | `UNAVAILABLE` |
/// | [`Unknown`](Self::Unknown) | 404 | `UNIMPLEMENTED` |
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No key, an unknown one, or a code that is unknown, used or too old.
    #[error("unauthorized")]
    Unauthorized,
    /// A field breaks a rule.
    #[error("{0}")]
    Invalid(FieldError),
    /// The body is above the limit.
    #[error("too large")]
    TooLarge,
    /// It could not be stored, or too much is waiting to be; nothing of it is.
    #[error("unavailable")]
    Unavailable,
    /// There is no such route or method.
    #[error("not found")]
    Unknown,
}
