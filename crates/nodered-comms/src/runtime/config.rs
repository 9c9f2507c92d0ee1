//! Settings of the runtime.

use super::Access;
use std::time::Duration;

/// Settings of a [`Runtime`](super::Runtime). Every duration and limit of the protocol is here, with Node-RED's value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Who may connect.
    pub access: Access,
    /// How frames are made. Today's.
    pub era: Era,
    /// How long messages are collected before they go out. 50 ms.
    pub batch_delay: Duration,
    /// How many messages a frame has at most; above 0. 50. Of no effect in older eras.
    pub batch_size: usize,
    /// Time between two heartbeats, above 0; the first comes so long after the start. 15 s; `None` for none.
    pub heartbeat_interval: Option<Duration>,
    /// What heartbeats say: when the comms started, in ms since 1970; finite and not 0.
    pub started: f64,
    /// How long a session is let live beyond its end. 5 s.
    pub expiry_grace: Duration,
    /// How many connections there may be. Further ones are closed at once. 65 536.
    pub max_connections: usize,
    /// The longest frame that is looked at, in bytes. 104 857 600. A longer one ends the connection, in WebSocket's words
    /// with code 1009.
    pub max_frame: usize,
    /// How many bytes of frames, and 64 for each, are held for a connection while its token is looked up. 65 536. Beyond it the connection
    /// ends.
    pub max_held: usize,
    /// How many messages may wait for a connection, above 0. More than are retained, or who subscribes to all of them is
    /// cut off. 100 000; Node-RED has no limit. In the document's era nothing waits.
    pub max_queued: usize,
    /// How many bytes of messages may wait for a connection; more than are retained. 16 777 216; Node-RED has no limit.
    pub max_queued_bytes: usize,
    /// What happens at those two limits. The connection is cut off.
    pub overflow: Overflow,
    /// How many topics may be retained. Further ones are sent and not retained. 65 536; Node-RED has no limit.
    pub max_retained: usize,
}

/// How frames are made. Nothing else goes by it but the name of the deploy event and how a first packet is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "what is known of the past does not grow")]
pub enum Era {
    /// As the document says, and Node-RED up to 0.17 did: one bare message a frame, at once; the deploy event is
    /// `runtime-redeploy`; a first packet without a token is refused without a word. Editors of 0.18 and later do not
    /// hear such messages.
    Document,
    /// As 0.18 and 0.19: the first message at once, what follows every 50 ms, in arrays of any size.
    FirstAtOnce,
    /// As 0.20 to 1.3: 50 ms after the first message, in arrays of any size.
    AnySize,
    /// As 2.0 and later: 50 ms after the first message, at most 50 in an array.
    #[default]
    Today,
}

/// What happens to a connection that takes no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a queue has two ends")]
pub enum Overflow {
    /// It ends. An editor connects again and gets what is retained.
    #[default]
    CutOff,
    /// It loses the oldest messages, or one that is larger than the limit, which is told.
    DropOldest,
}

/// Which setting cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A limit of 0, by its name in [`Config`]: no message would ever go out.
    #[error("{0} must be above 0")]
    Limit(&'static str),
    /// A wait of 0, by its name in [`Config`]: heartbeats would have no end.
    #[error("{0} must be above 0")]
    Wait(&'static str),
    /// Not a number that JSON can say, or 0, which is not sent.
    #[error("started must be a finite number other than 0")]
    Started,
}

impl Config {
    /// Returns Node-RED's settings. `started` is the time of the start in ms since 1970.
    #[must_use]
    pub fn new(access: Access, started: f64) -> Self {
        Self {
            access,
            era: Era::default(),
            batch_delay: Duration::from_millis(50),
            batch_size: 50,
            heartbeat_interval: Some(Duration::from_secs(15)),
            started,
            expiry_grace: Duration::from_secs(5),
            max_connections: 65_536,
            max_frame: 100 << 20,
            max_held: 64 << 10,
            max_queued: 100_000,
            max_queued_bytes: 16 << 20,
            overflow: Overflow::default(),
            max_retained: 65_536,
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let limits = [("batch_size", self.batch_size), ("max_queued", self.max_queued)];
        if let Some((name, _)) = limits.into_iter().find(|(_, limit)| *limit == 0) {
            return Err(ConfigError::Limit(name));
        }
        if self.heartbeat_interval.is_some_and(|interval| interval.is_zero()) {
            return Err(ConfigError::Wait("heartbeat_interval"));
        }
        if !self.started.is_finite() || self.started == 0.0 {
            return Err(ConfigError::Started);
        }
        Ok(())
    }
}
