//! What a runtime asks of its driver, and the news it has.

use super::User;
use crate::topic::TopicFilter;
use crate::wire::Json;
use crate::{ConnectionId, Secret};
use bytes::Bytes;
use std::fmt;

/// Names the look-up of a token; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookUpId(pub(super) u64);

/// Work for the driver, in order. `Debug` of frames shows their length.
#[derive(PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "new work must not compile away in a driver")]
pub enum Output {
    /// Send this text frame; it is UTF-8.
    Transmit {
        /// The connection.
        connection: ConnectionId,
        /// The frame.
        text: Bytes,
    },
    /// Send what came before, then close the connection, with this code if there is one and without one otherwise.
    Disconnect {
        /// The connection.
        connection: ConnectionId,
        /// The WebSocket close code.
        code: Option<u16>,
    },
    /// Find out whose token this is, then report `handle_user` once with this id.
    LookUp {
        /// Names the look-up.
        id: LookUpId,
        /// The token.
        token: Secret,
    },
    /// Tell the application.
    Event(Event),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A connection gets messages from now on, or has another user.
    Active {
        /// The connection.
        connection: ConnectionId,
        /// Who is at the other end; `None` for an open runtime.
        user: Option<User>,
    },
    /// An editor asked for what is retained.
    Subscribed {
        /// The connection.
        connection: ConnectionId,
        /// The filter.
        filter: TopicFilter,
        /// How many messages match.
        retained: usize,
    },
    /// An editor has sent a message. It is for the application alone; nothing is forwarded.
    Message {
        /// The connection.
        connection: ConnectionId,
        /// The topic.
        topic: String,
        /// The data, if there was any.
        data: Option<Json>,
    },
    /// A connection does not keep up and has lost messages.
    Dropped {
        /// The connection.
        connection: ConnectionId,
        /// How many.
        messages: usize,
    },
    /// A connection is over; nothing follows for it.
    ConnectionEnded {
        /// The connection.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// The runtime is closed; nothing follows.
    Closed,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// We asked for it.
    #[error("closed by this side")]
    Local,
    /// The transport ended, or the editor closed the connection.
    #[error("the connection was lost or closed by the editor")]
    Disconnected,
    /// The first packet was no token, and there is no default user who may listen.
    #[error("a token is wanted")]
    Unauthenticated,
    /// The token is nobody's, or its user may not listen.
    #[error("the token is refused")]
    Refused,
    /// The session is over.
    #[error("the session has expired")]
    Expired,
    /// Too much waits for it.
    #[error("the editor does not keep up")]
    Overflow,
    /// A frame was longer than the limit, or too many came before a token was looked up.
    #[error("the editor sends too much")]
    TooMuch,
    /// There were already as many connections as there may be.
    #[error("too many connections")]
    TooManyConnections,
}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The runtime is closed.
    #[error("the runtime is closed")]
    Closed,
    /// There is no such connection, or it does not get messages.
    #[error("there is no such connection, or it does not get messages")]
    NotActive,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transmit { connection, text } => {
                write!(f, "Transmit({}, {} bytes)", connection.0, text.len())
            }
            Self::Disconnect { connection, code } => write!(f, "Disconnect({}, {code:?})", connection.0),
            Self::LookUp { id, .. } => write!(f, "LookUp({})", id.0),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}
