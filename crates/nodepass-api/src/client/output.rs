//! What a client asks of its driver, and the news it has.

use super::{Base, FailureKind, InfoRates, KeyProblem, Reply, RequestError};
use crate::Secret;
use crate::fleet::Change;
use crate::stream::Rejected;
use crate::wire::{Info, InstanceEvent};
use bytes::Bytes;
use http::{Request, StatusCode};
use std::fmt;
use std::time::Duration;

/// Names a call; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(super) u64);

/// Names an HTTP exchange; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// Names an event stream; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(super) u64);

/// Work for the driver, in order. `Debug` of requests shows method, path and the length of the body: they hold keys.
#[expect(clippy::exhaustive_enums, reason = "new work must not compile away in a driver")]
pub enum Output {
    /// Send this, follow no redirect, then report `handle_response` or `handle_failure` once.
    Request {
        /// Names the exchange.
        id: RequestId,
        /// The whole request.
        request: Request<Bytes>,
    },
    /// The outcome of this request is no longer wanted; abort it if you can.
    Cancel(RequestId),
    /// Send this, over a connection without a limit of time, then report `handle_stream_opened` when the head of the answer is
    /// there, `handle_stream_bytes` for each piece of its body, and `handle_stream_end` once, at the end of the body or
    /// whenever it fails, with or without a head.
    OpenStream {
        /// Names the stream.
        stream: StreamId,
        /// The whole request.
        request: Request<Bytes>,
    },
    /// Give this stream up; nothing more of it is wanted.
    CloseStream {
        /// The stream.
        stream: StreamId,
    },
    /// Tell the application.
    Event(Event),
}

/// What happened. `Debug` shows neither keys nor URLs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// It is known where the routes are: calls go out.
    Found {
        /// Where.
        base: Base,
    },
    /// It is not: the client asks again after this time, or when there is a call.
    NotFound {
        /// Why; of the last route that was tried.
        reason: RequestError,
        /// How long the client waits.
        wait: Duration,
    },
    /// The outcome of a call; each has one.
    Answered {
        /// Which.
        id: CallId,
        /// What.
        outcome: Result<Reply, RequestError>,
    },
    /// The master refuses the key: nothing but calls goes on until there is another one, see
    /// [`set_key`](super::Client::set_key).
    KeyRefused(KeyProblem),
    /// The client uses another key from now on, which was not given by the application: store it.
    KeyRotated {
        /// The new key.
        key: Secret,
        /// Who said so.
        source: KeySource,
    },
    /// There is no usable answer to [`rotate_key`](super::Client::rotate_key): the key may be another one now.
    RotationUnknown,
    /// A stream has begun; what it says now is how things stand.
    Streaming,
    /// The view is right: the list has been asked for since the stream began, or since events were lost.
    Synced {
        /// How many instances were not known before.
        added: usize,
        /// How many are gone.
        removed: usize,
        /// How many were known otherwise.
        repaired: usize,
    },
    /// There is no list: the view may be wrong, and the list is asked for again after this time.
    ListFailed {
        /// Why.
        reason: RequestError,
        /// How long the client waits.
        wait: Duration,
    },
    /// There is no stream; the next attempt follows after a wait.
    Reconnecting {
        /// How long.
        wait: Duration,
        /// How many failures there were in a row.
        failures: u32,
        /// Why the last one ended.
        reason: StreamEnd,
    },
    /// There is no stream any more, and no attempt follows: the key was refused.
    StreamEnded(StreamEnd),
    /// The client asks for the list at intervals, since there is no stream.
    PollingStarted,
    /// There is a stream again.
    PollingStopped,
    /// The master says that it has not sent so many events.
    Lost(u64),
    /// A frame of the stream was of no use.
    Rejected(Rejected),
    /// An event as it came, if [`Config::tells_events`](super::Config::tells_events); those of the key record are left out.
    Told(Box<InstanceEvent>),
    /// Something of the view has changed.
    Change(Change),
    /// Nothing answers.
    Unreachable,
    /// Something answers again.
    Reachable,
    /// The master about itself.
    Info {
        /// What it says.
        info: Box<Info>,
        /// What can be computed from this and the one before.
        rates: InfoRates,
    },
    /// What the master answers about itself is of no use: see [`RequestError`]. It is asked again at the usual time.
    InfoFailed {
        /// Why.
        reason: RequestError,
    },
    /// The master was started again: its uptime has fallen.
    MasterRestarted,
    /// The master is of another version.
    VersionChanged {
        /// It was this.
        from: Box<str>,
        /// And is this.
        to: Box<str>,
    },
    /// The client is closed; nothing follows.
    Closed,
}

/// Who said that there is another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeySource {
    /// The answer to [`rotate_key`](super::Client::rotate_key).
    Answer,
    /// The event stream: somebody else has asked for one.
    Stream,
}

/// Why a stream is over, or did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamEnd {
    /// The master has said so before: it stops, or has another key.
    #[error("the master has ended the stream")]
    Shutdown,
    /// It ended without a word.
    #[error("the stream has ended")]
    Ended,
    /// The transport failed.
    #[error("{0}")]
    Failed(FailureKind),
    /// There was no answer in time.
    #[error("the stream was not opened in time")]
    NoHead,
    /// There was no event in time although there is something to tell.
    #[error("the stream says nothing")]
    NoEvents,
    /// The master does not answer other requests either.
    #[error("the master does not answer")]
    Unreachable,
    /// It fell silent although an instance runs that reports, or keeps back what the list shows.
    #[error("the stream has fallen silent")]
    Silent,
    /// The answer has this status.
    #[error("the stream is refused ({0})")]
    Status(StatusCode),
    /// The answer is no event stream.
    #[error("the answer is no event stream")]
    NoStream,
    /// The key is another one now.
    #[error("the key has changed")]
    KeyChanged,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { id, request } => {
                write!(f, "Request({}, {}, {} bytes)", id.0, shown(request), request.body().len())
            }
            Self::Cancel(id) => write!(f, "Cancel({})", id.0),
            Self::OpenStream { stream, request } => {
                write!(f, "OpenStream({}, {})", stream.0, shown(request))
            }
            Self::CloseStream { stream } => write!(f, "CloseStream({})", stream.0),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}

fn shown(request: &Request<Bytes>) -> String {
    format!("{} {}", request.method(), request.uri().path())
}
