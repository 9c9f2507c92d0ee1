//! Settings of the client.

use super::Endpoint;
use crate::Secret;
use std::time::Duration;

/// Settings of a [`Client`](super::Client). Every duration and limit of the protocol is here, with the editor's value where
/// it has one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where the runtime is.
    pub endpoint: Endpoint,
    /// What to log in with. Nothing.
    pub credentials: Credentials,
    /// How the client learns whether the runtime wants a token. It asks.
    pub discovery: Discovery,
    /// The scope that a token is asked for. `*`.
    pub scope: String,
    /// How long opening the connection may take, above 0: a runtime does not answer at all on a wrong path. 30 s.
    pub connect_timeout: Duration,
    /// How long the answer to a token may take, above 0. 30 s.
    pub auth_timeout: Duration,
    /// How long an answer of the admin API may take, above 0. 10 s.
    pub request_timeout: Duration,
    /// A ready connection without a frame for this long is given up, above 0; three times as long as heartbeats were
    /// seen apart, if that is more. It doubles each time that a connection is given up so, up to 16-fold. 45 s, three
    /// of the runtime's periods; `None` for a runtime without heartbeats. The editor has no such timer.
    pub idle_timeout: Option<Duration>,
    /// The waits between attempts.
    pub reconnect: ReconnectSchedule,
    /// The longest frame that is looked at, in bytes. 104 857 600. A longer one ends the connection.
    pub max_frame: usize,
    /// How many subscriptions there may be. 65 536.
    pub max_subscriptions: usize,
}

/// What to log in with.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Credentials {
    /// Nothing: an open runtime, or a default user.
    #[default]
    None,
    /// A token. When the runtime refuses it, another one is needed.
    Token(Secret),
    /// A user; tokens are fetched with it, also when a session has expired.
    Password {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
}

/// How a client learns whether a runtime wants a token: it must not be sent one otherwise, some do not survive it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Discovery {
    /// It asks `auth/login` of the admin API.
    #[default]
    Ask,
    /// It takes for granted that none is wanted.
    AssumeOpen,
    /// It takes for granted that one is wanted, if it has credentials.
    AssumeProtected,
}

/// How long to wait after so many failures in a row, each above 0. A failure is a connection that did not come about or
/// that ended; a frame of a ready connection, other than the answer to a token, ends the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReconnectSchedule {
    /// After the first nine. 1 s.
    pub first: Duration,
    /// After the next ten. 2 s.
    pub second: Duration,
    /// After all others. 60 s.
    pub later: Duration,
}

/// Which setting cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A wait of 0, by its name in [`Config`]: something would be given up before it can begin, or the client would never rest.
    #[error("{0} must be above 0")]
    Wait(&'static str),
}

impl Config {
    /// Returns the editor's settings.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            credentials: Credentials::default(),
            discovery: Discovery::default(),
            scope: "*".into(),
            connect_timeout: Duration::from_secs(30),
            auth_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(10),
            idle_timeout: Some(Duration::from_secs(45)),
            reconnect: ReconnectSchedule::default(),
            max_frame: 100 << 20,
            max_subscriptions: 65_536,
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let waits = [
            ("connect_timeout", self.connect_timeout),
            ("auth_timeout", self.auth_timeout),
            ("request_timeout", self.request_timeout),
            ("reconnect.first", self.reconnect.first),
            ("reconnect.second", self.reconnect.second),
            ("reconnect.later", self.reconnect.later),
        ];
        let mut waits = waits.into_iter().chain(self.idle_timeout.map(|wait| ("idle_timeout", wait)));
        match waits.find(|(_, wait)| wait.is_zero()) {
            Some((name, _)) => Err(ConfigError::Wait(name)),
            None => Ok(()),
        }
    }
}

impl ReconnectSchedule {
    /// Returns the wait after so many failures, counted from 1.
    #[must_use]
    pub fn wait(&self, failures: u32) -> Duration {
        match failures {
            0..=9 => self.first,
            10..=19 => self.second,
            _ => self.later,
        }
    }
}

impl Default for ReconnectSchedule {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), second: Duration::from_secs(2), later: Duration::from_secs(60) }
    }
}
