//! Settings of the server.

use crate::Dialect;
use crate::session;
use std::collections::BTreeSet;
use std::time::Duration;

/// Settings of a [`Server`](super::Server). Every duration and limit of the protocol is here or in
/// [`session`](Self::session), with the original's value where it has one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Settings of each connection, the dialect among them. The seed is that of the whole server; it must be another one
    /// at each start.
    pub session: session::Config,
    /// Methods of the application, by name; they come as [`Event::Command`](super::Event::Command). Known names have no
    /// effect. None.
    pub methods: BTreeSet<String>,
    /// Whether agents are pinged, every [`ping_interval`](session::Config::ping_interval). They are not: their own pings keep
    /// connections up, and one of the original's dialect ends the connection.
    pub pings: bool,
    /// Whether tasks are followed. `None` goes by the dialect: the document's are, the original's agents tell nothing.
    pub follows_tasks: Option<bool>,
    /// How long an agent's answer is waited for, above 0. 60 s; `None` waits as long as the connection lasts, as the
    /// original does.
    pub call_timeout: Option<Duration>,
    /// How many connections there may be. Further ones are closed at once. 65 536.
    pub max_connections: usize,
    /// How many tasks may be unfinished, over all agents. At it further ones are refused to the application. 65 536.
    pub max_tasks: usize,
    /// How many tasks that have ended are remembered; the oldest go first, and an update for them is then one for a task
    /// that was never designated. 65 536.
    pub max_ended_tasks: usize,
}

/// Which setting cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting of the connections.
    #[error(transparent)]
    Session(#[from] session::ConfigError),
    /// A wait of 0, by its name in [`Config`]: every command would be given up at once.
    #[error("{0} must be above 0")]
    Wait(&'static str),
}

impl Config {
    /// Returns the original's settings.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            session: session::Config::new(seed),
            methods: BTreeSet::new(),
            pings: false,
            follows_tasks: None,
            call_timeout: Some(Duration::from_secs(60)),
            max_connections: 65_536,
            max_tasks: 65_536,
            max_ended_tasks: 65_536,
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.call_timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(ConfigError::Wait("call_timeout"));
        }
        Ok(self.session.check()?)
    }

    pub(super) fn follows_tasks(&self) -> bool {
        self.follows_tasks.unwrap_or(self.session.dialect == Dialect::Document)
    }
}
