//! What an agent asks of its driver, and the news it has.

use crate::command::{ConfigDrive, ErrorValue, ImageId, Method, SendError, TaskCommand, TaskId};
use crate::session::{self, AnswerToken, CallFailure, CloseReason, Reply};
use crate::wire::{Json, Object};
use crate::{CallId, ConnectionId};
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// Names a task of the agent; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskNumber(pub(super) u64);

/// Work for the driver, in order. `Debug` of bytes shows their number.
#[derive(PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "new work must not compile away in a driver")]
pub enum Output {
    /// Open a connection to the server, then report `handle_connected` or `handle_connect_failed` once with this id.
    Connect {
        /// Names the connection.
        connection: ConnectionId,
        /// Counted from 1 since the waits last started anew.
        attempt: u32,
    },
    /// Write these bytes: one line.
    Transmit {
        /// The connection.
        connection: ConnectionId,
        /// What to write.
        bytes: Bytes,
    },
    /// Write what came before, then close the connection; or give up opening it.
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
    /// A connection is open; the handshake is on its way.
    Connected {
        /// The connection.
        connection: ConnectionId,
    },
    /// No connection came about.
    ConnectFailed {
        /// The connection it would have been.
        connection: ConnectionId,
    },
    /// The server has accepted the handshake, or none is wanted. Pings and reports begin.
    Ready {
        /// The connection.
        connection: ConnectionId,
        /// The server's name for the connection, if it gave one.
        name: Option<String>,
    },
    /// The server has refused the handshake. The connection stays and commands are served, but there are neither pings
    /// nor reports.
    HandshakeRefused {
        /// The connection.
        connection: ConnectionId,
        /// What the server said.
        error: ErrorValue,
    },
    /// A connection is over.
    ConnectionEnded {
        /// The connection.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// The agent waits before it connects again.
    Waiting {
        /// How long.
        wait: Duration,
    },
    /// The server has pinged and was answered.
    Pinged,
    /// The server has answered a ping of ours, with a result or an error.
    PingAnswered {
        /// The time since it was sent.
        round_trip: Duration,
    },
    /// The server has asked for the status and was answered.
    StatusAsked,
    /// The server has begun a task. Carry it out: tell its [progress](super::Agent::progress), and its end by
    /// [`complete`](super::Agent::complete) or [`fail`](super::Agent::fail). One that runs an image is carried out step by
    /// step instead.
    TaskBegun {
        /// Names the task.
        task: TaskNumber,
        /// What is to be done.
        command: TaskCommand,
    },
    /// A task that runs an image has come to this step.
    Step {
        /// The task.
        task: TaskNumber,
        /// The server's name for it.
        task_id: TaskId,
        /// What is to be done.
        step: RunStep,
    },
    /// A task is over: the server has learned how it ended, or has had its time to, or tasks are not reported. Nothing
    /// follows for it, except the last step of one that runs an image.
    TaskReported {
        /// The task.
        task: TaskNumber,
        /// The server's name for it.
        task_id: TaskId,
        /// Whether the server has answered, with a result or an error.
        answered: bool,
    },
    /// The server has answered a report with an error.
    ReportRefused {
        /// The task.
        task: TaskNumber,
        /// The server's name for it.
        task_id: TaskId,
        /// What the server said.
        error: ErrorValue,
    },
    /// A command that could not be served was answered with an error.
    CommandRefused {
        /// Its method, as it came.
        method: Box<str>,
        /// What the server was told.
        error: ErrorValue,
    },
    /// A command of the application's own; answer it with [`respond`](super::Agent::respond).
    Command {
        /// The right to answer it.
        token: AnswerToken,
        /// Its method.
        method: Method,
        /// Its parameters.
        params: Object,
    },
    /// The application dropped the token of a command; the server got an error.
    AnswerDropped {
        /// The command's method.
        method: Json,
    },
    /// The server has answered a log entry or a command of the application.
    Replied {
        /// The command.
        call: CallId,
        /// Its method.
        method: Method,
        /// The answer.
        reply: Reply,
    },
    /// No answer to a log entry or a command of the application is to be expected any more.
    Lost {
        /// The command.
        call: CallId,
        /// Its method.
        method: Method,
        /// Why.
        reason: CallFailure,
    },
    /// The agent is closed; nothing follows.
    Closed,
}

/// A step of running an image, in the order in which they come. `Kexec` and `Reboot` come last, once the server knows
/// that the task is complete.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunStep {
    /// Write the config drive, then say [`step_done`](super::Agent::step_done). Left out without settings.
    WriteConfigDrive {
        /// The image.
        image: ImageId,
        /// The settings.
        settings: ConfigDrive,
    },
    /// Set up the boot loader, then say [`step_done`](super::Agent::step_done).
    SetUpBootLoader {
        /// The image.
        image: ImageId,
    },
    /// Look for a viable kexec target, then say [`kexec_target`](super::Agent::kexec_target).
    FindKexecTarget {
        /// The image.
        image: ImageId,
    },
    /// Leave for the image by kexec.
    Kexec {
        /// The image.
        image: ImageId,
    },
    /// Leave for the image by a reboot.
    Reboot {
        /// The image.
        image: ImageId,
    },
}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The connection cannot take it.
    #[error(transparent)]
    Session(#[from] session::CommandError),
    /// There is no such task, or it has ended.
    #[error("there is no such task, or it has ended")]
    UnknownTask,
    /// The task is not at the step for that.
    #[error("the task is not at the step for that")]
    WrongStep,
    /// A number that is not finite or out of its range.
    #[error("a number is out of its range")]
    OutOfRange,
}

impl From<SendError> for CommandError {
    fn from(error: SendError) -> Self {
        Self::Session(error.into())
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { connection, attempt } => {
                write!(f, "Connect({}, attempt {attempt})", connection.0)
            }
            Self::Transmit { connection, bytes } => {
                write!(f, "Transmit({}, {} bytes)", connection.0, bytes.len())
            }
            Self::Disconnect { connection } => write!(f, "Disconnect({})", connection.0),
            Self::Abort { connection } => write!(f, "Abort({})", connection.0),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}
