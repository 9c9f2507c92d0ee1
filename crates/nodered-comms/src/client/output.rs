//! What a client asks of its driver, and the news it has.

use crate::ConnectionId;
use crate::event::CommsEvent;
use crate::wire::{Json, JsonRef};
use bytes::Bytes;
use http::{Request, StatusCode};
use std::fmt;
use std::time::Duration;

/// Names a request to the admin API; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// Names a subscription; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub(super) crate::topic::FilterId);

/// Work for the driver, in order. `Debug` of frames and requests shows lengths and routes: they hold tokens.
#[expect(clippy::exhaustive_enums, reason = "new work must not compile away in a driver")]
pub enum Output {
    /// Open a WebSocket connection to [`Endpoint::comms`](super::Endpoint::comms), then report `handle_connected` or
    /// `handle_connect_failed` once with this id.
    Connect {
        /// Names the connection.
        connection: ConnectionId,
        /// Counted from 1 since the waits last started anew.
        attempt: u32,
    },
    /// Send this text frame.
    Transmit {
        /// The connection.
        connection: ConnectionId,
        /// The frame.
        text: String,
    },
    /// Send what came before, then close the connection; or give up opening it.
    Disconnect {
        /// The connection.
        connection: ConnectionId,
    },
    /// Send this request, follow no redirect, then report `handle_response` or `handle_failure` once.
    Request {
        /// Names the exchange.
        id: RequestId,
        /// The whole request.
        request: Request<Bytes>,
    },
    /// The outcome of this request is no longer wanted; abort it if you can.
    Cancel(RequestId),
    /// Tell the application.
    Event(Event),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The runtime was asked whether it wants a token.
    Discovered {
        /// Whether it does.
        protected: bool,
    },
    /// The admin API gave no usable answer; the client waits and asks again.
    RequestFailed(RequestError),
    /// A token was fetched.
    LoggedIn {
        /// How long it is good from now on, as the runtime says; `None` if it does not. The client sets no timer for
        /// it.
        expires_in: Option<Duration>,
    },
    /// Nothing goes on until there are other credentials: see [`login`](super::Client::login).
    LoginNeeded(LoginProblem),
    /// A connection is open.
    Connected {
        /// The connection.
        connection: ConnectionId,
    },
    /// The runtime has accepted the token.
    Authenticated {
        /// The connection.
        connection: ConnectionId,
    },
    /// Subscriptions were sent; messages come from now on.
    Ready {
        /// The connection.
        connection: ConnectionId,
    },
    /// A message that somebody has subscribed to.
    Message(ReceivedMessage),
    /// A sign of life.
    Heartbeat {
        /// What it says, in ms since 1970: with a Node-RED of 0.20 or later when its comms started, so that another
        /// value than before means that it was restarted.
        time: f64,
        /// Whether the value is another one than that of the heartbeat before, over this connection or an earlier one.
        changed: bool,
    },
    /// A frame that is no JSON, and was ignored.
    FrameIgnored {
        /// Its length in bytes.
        length: usize,
    },
    /// A connection is over, or did not come about.
    ConnectionEnded {
        /// The connection.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// The client waits before it tries again. An editor shows a banner from the sixth failure on.
    Waiting {
        /// How long.
        wait: Duration,
        /// How many failures there were in a row.
        failures: u32,
    },
    /// The client is closed; nothing follows.
    Closed,
}

/// A message, with who wants it. `Debug` shows the topic, and of the data kind and length.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ReceivedMessage {
    /// The topic.
    pub topic: String,
    /// The data, if there was any.
    pub data: Option<Json>,
    /// The subscriptions that match, in the order in which they were made.
    pub subscriptions: Vec<SubscriptionId>,
}

impl ReceivedMessage {
    /// Reads it by its meaning.
    #[must_use]
    pub fn event(&self) -> CommsEvent {
        CommsEvent::decode(&self.topic, self.data.as_ref().map(Json::as_ref))
    }

    /// Returns the data.
    #[must_use]
    pub fn data(&self) -> Option<JsonRef<'_>> {
        self.data.as_ref().map(Json::as_ref)
    }
}

/// Why other credentials are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginProblem {
    /// The runtime wants a token, closes connections without one, and there are no credentials.
    #[error("the runtime wants a login")]
    Missing,
    /// The runtime has refused user and password.
    #[error("the runtime refuses the login ({0})")]
    Refused(StatusCode),
    /// The runtime has refused a token.
    #[error("the runtime refuses the token")]
    TokenRefused,
    /// The session is over, and there is no password to begin another one with.
    #[error("the session has expired")]
    Expired,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// We asked for it.
    #[error("closed by this side")]
    Local,
    /// It did not come about.
    #[error("no connection came about")]
    ConnectFailed,
    /// It did not come about in time.
    #[error("no connection came about in time")]
    ConnectTimeout,
    /// The answer to the token did not come in time.
    #[error("the runtime does not answer the token")]
    AuthTimeout,
    /// The runtime has refused the token, or the session has expired.
    #[error("the runtime refuses the token")]
    AuthFailed,
    /// No frame came for the idle time-out.
    #[error("the runtime was silent for too long")]
    Idle,
    /// A frame was longer than the limit.
    #[error("a frame is too long")]
    FrameTooLong,
    /// The transport ended, or the runtime closed the connection.
    #[error("the connection was lost or closed by the runtime")]
    Disconnected,
    /// The runtime does not read what it is sent.
    #[error("the runtime does not read what it is sent")]
    Stalled,
}

/// Why a request was of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// An answer that does not help.
    #[error("the answer's status is {0}")]
    Status(StatusCode),
    /// No answer.
    #[error(transparent)]
    Transport(FailureKind),
}

/// What happened to a request that has no response. A driver maps its transport's errors to these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FailureKind {
    /// The connection was refused.
    #[error("connection refused")]
    Refused,
    /// The host name has no address.
    #[error("host name not found")]
    NameResolution,
    /// The TLS handshake failed.
    #[error("TLS handshake failed")]
    Tls,
    /// No end within the time limit; also what the client itself reports when its own limit passes.
    #[error("timed out")]
    TimedOut,
    /// The connection was reset or ended early.
    #[error("connection lost")]
    ConnectionLost,
    /// Anything else.
    #[error("transport error")]
    Other,
}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The client is not ready.
    #[error("the client is not ready")]
    NotReady,
    /// The client is closed.
    #[error("the client is closed")]
    Closed,
    /// The empty filter is no subscription for a runtime.
    #[error("the empty filter cannot be subscribed to")]
    EmptyFilter,
    /// A filter with a repetition in braces, which runtimes take for something else or do not survive.
    #[error("the filter has a repetition in braces")]
    Braces,
    /// As many subscriptions as there may be.
    #[error("too many subscriptions")]
    TooManySubscriptions,
    /// The empty topic is none for a runtime.
    #[error("the topic is empty")]
    EmptyTopic,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { connection, attempt } => {
                write!(f, "Connect({}, attempt {attempt})", connection.0)
            }
            Self::Transmit { connection, text } => {
                write!(f, "Transmit({}, {} bytes)", connection.0, text.len())
            }
            Self::Disconnect { connection } => write!(f, "Disconnect({})", connection.0),
            Self::Request { id, request } => {
                write!(f, "Request({}, {} {})", id.0, request.method(), request.uri().path())
            }
            Self::Cancel(id) => write!(f, "Cancel({})", id.0),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}

impl fmt::Debug for ReceivedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedMessage")
            .field("topic", &self.topic)
            .field("data", &self.data)
            .field("subscriptions", &self.subscriptions.len())
            .finish()
    }
}
