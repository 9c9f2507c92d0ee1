//! Settings of a session.

use crate::Dialect;
use crate::wire::LINE_LIMIT;
use std::fmt;
use std::time::Duration;

/// Settings of a [`Session`](super::Session). `Debug` hides the seed. Every duration and limit of the message layer is here, with the
/// original's value where it has one.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// What is sent where document and original part. The document's.
    pub dialect: Dialect,
    /// Whether commands are taken at all; otherwise the first one ends the connection. They are.
    pub serves_commands: bool,
    /// Whether `ping` is answered by the session itself, with its parameters. It is; an agent of the original's dialect
    /// does not.
    pub serves_ping: bool,
    /// The longest line that is taken, without its line feed; above 0. 524 288 bytes. For a longer one the peer gets
    /// a fatal error.
    pub max_line: usize,
    /// The longest line that is sent, without its line feed; at least 32 768 bytes. 524 288, which is what the original
    /// takes. Longer commands and answers are refused.
    pub max_sent_line: usize,
    /// The connection is aborted when no line has come for this long; above 0. 60 s.
    pub idle_timeout: Duration,
    /// Time between two pings, above 0. 20 s. None are sent before [`start_pings`](super::Session::start_pings).
    pub ping_interval: Duration,
    /// How long a ping is waited for, above 0; a later answer is swallowed. 60 s; `None` waits as long as the
    /// connection lasts, as the original does.
    pub ping_timeout: Option<Duration>,
    /// How many of our commands may be unanswered. At it commands are refused and pings left out. Above 0. 256; the
    /// original has no limit.
    pub max_calls: usize,
    /// How many commands that were given up may be unanswered; their ids are remembered. Beyond it the connection ends,
    /// since the peer answers nothing. 4096.
    pub max_abandoned: usize,
    /// How many of the peer's commands may wait for the application's answer. At it further ones are answered with an
    /// error. 256; the original has no limit.
    pub max_unanswered: usize,
    /// How many bytes the peer's commands that wait for the application's answer may have. Beyond it further ones are
    /// answered with an error. 8 388 608; the original has no limit.
    pub max_unanswered_bytes: usize,
    /// Where the ids of commands come from: give each session another one, unguessable if the peer shall not guess ids.
    pub seed: u64,
}

/// Which setting cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A limit of 0, by its name in [`Config`]: no line would be taken, or no command sent.
    #[error("{0} must be above 0")]
    Limit(&'static str),
    /// A wait of 0, by its name in [`Config`]: something would be given up before it can begin, or have no end.
    #[error("{0} must be above 0")]
    Wait(&'static str),
    /// `max_sent_line` is below 32 768: not every report of a task would fit into a line.
    #[error("max_sent_line must be at least 32 768")]
    MaxSentLine,
}

impl Config {
    /// Returns the original's settings.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            dialect: Dialect::default(),
            serves_commands: true,
            serves_ping: true,
            max_line: LINE_LIMIT,
            max_sent_line: LINE_LIMIT,
            idle_timeout: Duration::from_secs(60),
            ping_interval: Duration::from_secs(20),
            ping_timeout: Some(Duration::from_secs(60)),
            max_calls: 256,
            max_abandoned: 4096,
            max_unanswered: 256,
            max_unanswered_bytes: 8 << 20,
            seed,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let limits = [("max_line", self.max_line), ("max_calls", self.max_calls)];
        if let Some((name, _)) = limits.into_iter().find(|(_, limit)| *limit == 0) {
            return Err(ConfigError::Limit(name));
        }
        if self.max_sent_line < 32_768 {
            return Err(ConfigError::MaxSentLine);
        }
        let waits = [("idle_timeout", self.idle_timeout), ("ping_interval", self.ping_interval)];
        let mut waits = waits.into_iter().chain(self.ping_timeout.map(|wait| ("ping_timeout", wait)));
        match waits.find(|(_, wait)| wait.is_zero()) {
            Some((name, _)) => Err(ConfigError::Wait(name)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("dialect", &self.dialect)
            .field("serves_commands", &self.serves_commands)
            .field("serves_ping", &self.serves_ping)
            .field("max_line", &self.max_line)
            .field("max_sent_line", &self.max_sent_line)
            .field("idle_timeout", &self.idle_timeout)
            .field("ping_interval", &self.ping_interval)
            .field("ping_timeout", &self.ping_timeout)
            .field("max_calls", &self.max_calls)
            .field("max_abandoned", &self.max_abandoned)
            .field("max_unanswered", &self.max_unanswered)
            .field("max_unanswered_bytes", &self.max_unanswered_bytes)
            .finish_non_exhaustive()
    }
}
