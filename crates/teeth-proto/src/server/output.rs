//! What a server asks of its driver, and the news it has.

use crate::command::{ErrorValue, Handshake, LogEntry, Method, SendError, Status, TaskStatus};
use crate::session::{self, AnswerToken, CallFailure, CloseReason};
use crate::wire::{Json, Object};
use crate::{CallId, ConnectionId};
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// Work for the driver, in order. `Debug` of bytes shows their number.
#[derive(PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "new work must not compile away in a driver")]
pub enum Output {
    /// Write these bytes: one line.
    Transmit {
        /// The connection.
        connection: ConnectionId,
        /// What to write.
        bytes: Bytes,
    },
    /// Write what came before, then close the connection.
    Disconnect {
        /// The connection.
        connection: ConnectionId,
    },
    /// Reset the connection at once; what is unwritten is void.
    Abort {
        /// The connection.
        connection: ConnectionId,
    },
    /// Tell the application.
    Event(Event),
}

/// What happened.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// An agent has said who it is and was given a name for the connection.
    Handshake {
        /// The connection.
        connection: ConnectionId,
        /// Who it is.
        handshake: Handshake,
    },
    /// An agent has pinged and was answered.
    Pinged {
        /// The connection.
        connection: ConnectionId,
    },
    /// An agent has answered a ping of the [`pings`](super::Config::pings) setting, with a result or an error.
    PingAnswered {
        /// The connection.
        connection: ConnectionId,
        /// The time since it was sent.
        round_trip: Duration,
    },
    /// An agent has handed over a log entry.
    Log {
        /// The connection.
        connection: ConnectionId,
        /// The entry.
        entry: LogEntry,
    },
    /// An agent has told how a task is, and the view of it has followed, if tasks are followed.
    TaskStatus {
        /// The connection.
        connection: ConnectionId,
        /// The update.
        status: TaskStatus,
    },
    /// An agent has broken a rule of tasks. The connection stays.
    TaskViolation {
        /// The connection.
        connection: ConnectionId,
        /// The update that broke it.
        status: TaskStatus,
        /// The rule.
        violation: TaskViolation,
    },
    /// A command that could not be served was answered with an error.
    CommandRefused {
        /// The connection.
        connection: ConnectionId,
        /// Its method, as it came.
        method: Box<str>,
        /// What the agent was told.
        error: ErrorValue,
    },
    /// A command of the application's own; answer it with [`respond`](super::Server::respond).
    Command {
        /// The connection.
        connection: ConnectionId,
        /// The right to answer it.
        token: AnswerToken,
        /// Its method.
        method: Method,
        /// Its parameters.
        params: Object,
    },
    /// The application dropped the token of a command; the agent got an error.
    AnswerDropped {
        /// The connection.
        connection: ConnectionId,
        /// The command's method.
        method: Json,
    },
    /// An agent has answered a command.
    Replied {
        /// The command.
        call: CallId,
        /// Its method.
        method: Method,
        /// The answer.
        reply: Reply,
    },
    /// No answer to a command is to be expected any more.
    Lost {
        /// The command.
        call: CallId,
        /// Its method.
        method: Method,
        /// Why.
        reason: CallFailure,
    },
    /// An agent is gone; nothing follows for this connection.
    ConnectionEnded {
        /// The connection.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// The server is closed; nothing follows.
    Closed,
}

/// An agent's answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// How it is, in answer to `status`.
    Status(Status),
    /// Any other result; the document promises an object.
    Result(Json),
    /// It did not do it.
    Error(ErrorValue),
}

/// A rule of tasks that an agent has broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskViolation {
    /// An update after `error` or `complete`. It changes nothing. The same end once more, over another connection, is no
    /// violation: the agent could not know that it had arrived.
    #[error("an update after the task's end")]
    AfterEnd,
    /// An update for a task that this agent was not given. It changes nothing.
    #[error("an update for a task that was never designated")]
    NeverDesignated,
    /// `running` without a number for `eta` or `percent`.
    #[error("a running task without eta or percent")]
    MissingProgress,
    /// `percent` not from 0 to 100, or `eta` below 0.
    #[error("eta or percent out of range")]
    OutOfRange,
    /// `error` without a text.
    #[error("a failed task without a message")]
    MissingMessage,
    /// A state that the document does not know.
    #[error("an unknown state")]
    UnknownState,
}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The connection cannot take it.
    #[error(transparent)]
    Session(#[from] session::CommandError),
    /// A task of this id is already followed.
    #[error("the task id is in use")]
    TaskIdInUse,
    /// As many tasks are followed as may be.
    #[error("too many tasks")]
    TooManyTasks,
}

impl From<SendError> for CommandError {
    fn from(error: SendError) -> Self {
        Self::Session(error.into())
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transmit { connection, bytes } => {
                write!(f, "Transmit({}, {} bytes)", connection.0, bytes.len())
            }
            Self::Disconnect { connection } => write!(f, "Disconnect({})", connection.0),
            Self::Abort { connection } => write!(f, "Abort({})", connection.0),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}
