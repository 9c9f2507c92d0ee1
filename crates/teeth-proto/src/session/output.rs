//! What a session asks of its driver, and the news it has.

use super::AnswerToken;
use crate::command::{ErrorValue, Method, SendError};
use crate::wire::{Json, MessageId, Object, Violation};
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// Names a command that we sent; never used twice by a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(super) u64);

/// Work for the driver, in order. `Debug` of bytes shows their number.
#[derive(PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "new work must not compile away in a driver")]
pub enum Output {
    /// Write these bytes to the peer: one line.
    Transmit(Bytes),
    /// Write what came before, then close the connection.
    Disconnect,
    /// Reset the connection at once; what is unwritten is void.
    Abort,
    /// Tell the application.
    Event(Event),
}

/// What happened.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The peer wants something; answer it with [`respond`](super::Session::respond).
    Command(Incoming),
    /// The peer has pinged and was answered.
    Pinged,
    /// The peer has answered.
    Replied {
        /// The command.
        call: CallId,
        /// Its method.
        method: Method,
        /// The answer.
        reply: Reply,
    },
    /// No answer is to be expected any more. If one comes all the same, it is swallowed.
    Lost {
        /// The command.
        call: CallId,
        /// Its method.
        method: Method,
        /// Why.
        reason: CallFailure,
    },
    /// The peer has answered a ping of ours, with a result or an error.
    PingAnswered {
        /// The time since it was sent.
        round_trip: Duration,
    },
    /// A command beyond [`max_unanswered`](super::Config::max_unanswered) or
    /// [`max_unanswered_bytes`](super::Config::max_unanswered_bytes) was answered with an error.
    CommandRefused {
        /// The command's method.
        method: Json,
    },
    /// The application dropped the token of a command; the peer got an error.
    AnswerDropped {
        /// The command's method.
        method: Json,
    },
    /// The connection is over; nothing follows.
    Closed(CloseReason),
}

/// A command of the peer.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub struct Incoming {
    /// The right to answer it.
    pub token: AnswerToken,
    /// Its id, as it came.
    pub id: MessageId,
    /// Its version, not empty. Only `"v1"` is known.
    pub version: Json,
    /// Its method, any JSON value.
    pub method: Json,
    /// Its parameters.
    pub params: Object,
}

/// Answer to a command of ours.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has no other response")]
pub enum Reply {
    /// It succeeded. Any JSON value; the document promises an object.
    Result(Json),
    /// It failed.
    Error(ErrorValue),
}

/// Why a command of ours will have no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallFailure {
    /// None came in time. The peer may have carried it out.
    #[error("no answer came in time")]
    TimedOut,
    /// The connection ended. The peer may have carried it out.
    #[error("the connection ended before an answer came")]
    ConnectionEnded,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// We asked for it.
    #[error("closed by this side")]
    Local,
    /// The transport ended, or the peer closed the connection.
    #[error("the connection was lost or closed by the peer")]
    Disconnected,
    /// No line came for the idle time-out.
    #[error("the peer was silent for too long")]
    Idle,
    /// The peer does not read what it is sent.
    #[error("the peer does not read what it is sent")]
    Stalled,
    /// The peer has left too many commands without an answer.
    #[error("the peer does not answer")]
    Unresponsive,
    /// There were already as many connections as there may be.
    #[error("too many connections")]
    TooManyConnections,
    /// The peer broke the protocol and was told so.
    #[error("the peer broke the protocol: {0}")]
    Peer(Violation),
    /// The peer sent a fatal error: a string, or whatever else it chose to send.
    #[error("the peer sent a fatal error")]
    FatalError(Json),
}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no connection, or it is over.
    #[error("there is no connection")]
    NotConnected,
    /// As many commands are unanswered as there may be.
    #[error("too many commands are unanswered")]
    TooManyCalls,
    /// The command to be answered was already given up, or came over another connection.
    #[error("the command can no longer be answered")]
    NotAnswerable,
    /// The line would be longer than the peer takes.
    #[error("the message is longer than a line may be")]
    TooLong,
    /// The command cannot be sent as it is.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transmit(bytes) => write!(f, "Transmit({} bytes)", bytes.len()),
            Self::Disconnect => f.write_str("Disconnect"),
            Self::Abort => f.write_str("Abort"),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}
