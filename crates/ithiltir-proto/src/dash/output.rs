//! What a Dash asks of its driver, and the news it has.

use super::{ErrorCode, InstallId, Invalid, Unstorable};
use crate::wire::{DecodeError, NodeReport, Static, Timestamp};
use bytes::Bytes;
use http::{Response, StatusCode};
use std::fmt;
use std::net::IpAddr;

/// Names an exchange; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub(super) u64);

/// Names a node; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u64);

/// Work for the driver, in order.
#[expect(clippy::exhaustive_enums, reason = "new work must not compile away in a driver")]
pub enum Output {
    /// Answer this exchange. With `Connection: close` among the headers the connection ends after it.
    Respond {
        /// The exchange.
        id: ExchangeId,
        /// The whole answer; the transport adds `Content-Length` and `Date`.
        response: Response<Bytes>,
    },
    /// Tell the application.
    Event(Event),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A valid report of a known node.
    Report {
        /// The exchange, to be confirmed under [`Storage::Confirmed`](super::Storage::Confirmed).
        id: ExchangeId,
        /// The node.
        node: NodeId,
        /// The report.
        report: Box<NodeReport>,
        /// When it was received: the time that counts.
        collected_at: Timestamp,
        /// The node's own time, to the second.
        reported_at: Timestamp,
        /// The node's address; `None` only under [`NodeAddress::ForwardedFor`](super::NodeAddress::ForwardedFor), if
        /// the header's first element is none.
        address: Option<IpAddr>,
        /// Length of the body.
        bytes: usize,
    },
    /// A valid Static of a known node.
    Static {
        /// The exchange, to be confirmed under [`Storage::Confirmed`](super::Storage::Confirmed).
        id: ExchangeId,
        /// The node.
        node: NodeId,
        /// The Static.
        statics: Box<Static>,
        /// When it was received.
        collected_at: Timestamp,
        /// The node's address; `None` only under [`NodeAddress::ForwardedFor`](super::NodeAddress::ForwardedFor), if
        /// the header's first element is none.
        address: Option<IpAddr>,
        /// Length of the body.
        bytes: usize,
    },
    /// A request was refused.
    Rejected {
        /// The exchange.
        id: ExchangeId,
        /// The status of the answer.
        status: StatusCode,
        /// The code of the answer.
        code: ErrorCode,
        /// The path that was asked for, its first 256 characters.
        path: String,
        /// The address of the client, behind trusted proxies.
        client: IpAddr,
        /// What the peer is not told.
        reason: Rejection,
    },
    /// The installation's id was made; it has to be kept.
    IdentityCreated {
        /// The id.
        install_id: InstallId,
    },
    /// A node was answered with a manifest.
    UpdateOffered {
        /// The node.
        node: NodeId,
        /// The version offered.
        version: String,
    },
    /// A node's update task is done: it reports the version, or a higher one.
    UpdateCleared {
        /// The node.
        node: NodeId,
    },
    /// A node has reported for the first time, or after having been offline.
    Online {
        /// The node.
        node: NodeId,
    },
    /// A node has not reported for [`Config::offline_after`](super::Config::offline_after).
    Offline {
        /// The node.
        node: NodeId,
    },
}

/// Why a request was refused; the peer is told less.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// There is no such route.
    #[error("no such route")]
    Route,
    /// The method is not POST.
    #[error("wrong method")]
    Method,
    /// The media type is another one.
    #[error("wrong media type")]
    MediaType,
    /// The network's budget is used up.
    #[error("over the rate limit")]
    RateLimit,
    /// The body is longer than the limit.
    #[error("body too large")]
    BodyTooLarge,
    /// There is no key.
    #[error("no key")]
    NoKey,
    /// Nobody has this key.
    #[error("unknown key")]
    UnknownKey,
    /// The body cannot be read.
    #[error(transparent)]
    Undecodable(DecodeError),
    /// The body makes no sense.
    #[error(transparent)]
    Invalid(Invalid),
    /// The storage cannot take it.
    #[error(transparent)]
    Unstorable(Unstorable),
    /// The application refused, took too long, or has too much waiting.
    #[error("not stored")]
    NotStored,
    /// What is kept as the installation's id is none.
    #[error("the installation's id is broken")]
    Identity,
}

/// What is known about a node, for the application to show.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KnownNode {
    /// The name that it was added with.
    pub name: Box<str>,
    /// The version it reported last: trimmed, its first 256 characters; `None` before the first report.
    pub version: Option<Box<str>>,
    /// The operating system of its last Static, its first 256 characters; empty before the first.
    pub os: Box<str>,
    /// The architecture of its last Static, its first 256 characters; empty before the first.
    pub arch: Box<str>,
    /// When its last report was received; `None` before the first.
    pub collected_at: Option<Timestamp>,
    /// The time in its last report, to the second; `None` before the first.
    pub reported_at: Option<Timestamp>,
    /// Its address, by [`NodeAddress`](super::NodeAddress); `None` before the first report or Static, or if its header
    /// names none.
    pub address: Option<IpAddr>,
    /// Whether it counts as online.
    pub online: bool,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Respond { id, response } => {
                write!(f, "Respond({}, {}, {} bytes)", id.0, response.status(), response.body().len())
            }
            Self::Event(event) => write!(f, "Event({})", Kind(event)),
        }
    }
}

/// An event's kind, ids and lengths; its contents are the application's.
struct Kind<'a>(&'a Event);

impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Event::Report { id, node, bytes, .. } => {
                write!(f, "Report({}, node {}, {bytes} bytes)", id.0, node.0)
            }
            Event::Static { id, node, bytes, .. } => {
                write!(f, "Static({}, node {}, {bytes} bytes)", id.0, node.0)
            }
            Event::Rejected { id, code, .. } => {
                write!(f, "Rejected({}, {})", id.0, code.as_str())
            }
            Event::IdentityCreated { .. } => f.write_str("IdentityCreated"),
            Event::UpdateOffered { node, .. } => write!(f, "UpdateOffered(node {})", node.0),
            Event::UpdateCleared { node } => write!(f, "UpdateCleared(node {})", node.0),
            Event::Online { node } => write!(f, "Online(node {})", node.0),
            Event::Offline { node } => write!(f, "Offline(node {})", node.0),
        }
    }
}
