//! Settings of the client.

use super::{Endpoint, Layout, is_fit};
use crate::{Secret, fleet};
use std::time::Duration;

/// Settings of a [`Client`](super::Client). Every duration and limit is here. `Debug` hides the key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where the master is.
    pub endpoint: Endpoint,
    /// Its key. An empty one is not sent: for a master without a key.
    pub key: Secret,
    /// Where its routes are. `None`: the client finds out, the version first.
    pub layout: Option<Layout>,
    /// How the view of the instances is kept. By the stream.
    pub monitoring: Monitoring,
    /// Whether a key that a running stream brings in the place of another one is taken (§3: 1.6). It is.
    pub adopts_keys: bool,
    /// Whether instance URLs are checked before they are sent: masters take nonsense, which fails later (§6). What
    /// the master gives its servers counts (§6). They are.
    pub checks_urls: bool,
    /// Whether every event of the stream is told as it came, beside what it changes. It is not.
    pub tells_events: bool,
    /// How long an answer may take, above 0. 15 s: a master waits 5 s for a process to stop.
    pub request_timeout: Duration,
    /// How long the head of a stream's answer may take, above 0. 10 s.
    pub head_timeout: Duration,
    /// How long a stream's first event may take where the list says that there is something to tell, and how long any event
    /// where two lists in a row show counters or figures that have moved between them without a word of the stream; above 0.
    /// 10 s; `None` is for ever.
    pub first_event_timeout: Option<Duration>,
    /// How long a stream may be silent while an instance runs that has reported before, above 0. 5 min; `None` is for ever.
    /// Masters without such instances say nothing at all, and are left alone. With `None` lists do not judge the stream either.
    pub idle_timeout: Option<Duration>,
    /// The wait after the first failure, unless the stream has said another one. 3 s. Doubled by each further failure, and
    /// made up to a quarter shorter or longer by chance.
    pub retry: Duration,
    /// The shortest wait, above 0. 100 ms.
    pub min_wait: Duration,
    /// The longest wait, not below the shortest. 60 s.
    pub max_wait: Duration,
    /// The end of a stream that has lived this long from its head on is the first failure of a new row. 10 s.
    pub stable_after: Duration,
    /// How often the list is asked for while a stream runs, since masters drop events in silence (§5); above 0. 60 s; `None`
    /// is only when something is known to be missing.
    pub resync_interval: Option<Duration>,
    /// The least time between two lists, above 0. 500 ms.
    pub settle_delay: Duration,
    /// How often the list is asked for when polling, above 0. 5 s.
    pub poll_interval: Duration,
    /// After so many failures of the stream in a row the client polls until there is one again. 3.
    pub poll_after: u32,
    /// How often the master is asked about itself, above 0. 30 s; `None` is once.
    pub info_interval: Option<Duration>,
    /// The longest answer that is looked at, in bytes. 64 MiB.
    pub max_response: usize,
    /// The longest frame of a stream, in bytes. 1 MiB. A longer one is dropped, and the list asked for.
    pub max_frame: usize,
    /// How many calls there may be at a time. 1 024.
    pub max_calls: usize,
    /// How many of them may be made before it is known where the routes are. 256.
    pub max_held: usize,
    /// Settings of the view.
    pub fleet: fleet::Config,
    /// The wall clock at the `now` that is given to [`Client::new`](super::Client::new): milliseconds since the beginning of
    /// 1970. 0.
    pub unix_milliseconds: i64,
    /// What the chance in waits is made of: another one for each client. 0.
    pub seed: u64,
}

/// How a client keeps its view of the instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has a stream and a list")]
pub enum Monitoring {
    /// By the event stream, checked by the list; by the list while there is no stream.
    #[default]
    Stream,
    /// By the list.
    Poll,
    /// Not at all: calls only.
    Off,
}

/// Which setting cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A wait of 0, by its name in [`Config`]: something would be given up before it can begin, or the client would never rest.
    #[error("{0} must be above 0")]
    Wait(&'static str),
    /// `min_wait` is 0 or above `max_wait`.
    #[error("min_wait must be above 0 and not above max_wait")]
    Waits,
    /// The key has characters that no header can have.
    #[error("key cannot be sent in a header")]
    Key,
}

impl Config {
    /// Returns the usual settings.
    #[must_use]
    pub fn new(endpoint: Endpoint, key: Secret) -> Self {
        Self {
            endpoint,
            key,
            layout: None,
            monitoring: Monitoring::default(),
            adopts_keys: true,
            checks_urls: true,
            tells_events: false,
            request_timeout: Duration::from_secs(15),
            head_timeout: Duration::from_secs(10),
            first_event_timeout: Some(Duration::from_secs(10)),
            idle_timeout: Some(Duration::from_secs(300)),
            retry: Duration::from_secs(3),
            min_wait: Duration::from_millis(100),
            max_wait: Duration::from_secs(60),
            stable_after: Duration::from_secs(10),
            resync_interval: Some(Duration::from_secs(60)),
            settle_delay: Duration::from_millis(500),
            poll_interval: Duration::from_secs(5),
            poll_after: 3,
            info_interval: Some(Duration::from_secs(30)),
            max_response: 64 << 20,
            max_frame: 1 << 20,
            max_calls: 1_024,
            max_held: 256,
            fleet: fleet::Config::default(),
            unix_milliseconds: 0,
            seed: 0,
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let waits = [
            ("request_timeout", Some(self.request_timeout)),
            ("head_timeout", Some(self.head_timeout)),
            ("first_event_timeout", self.first_event_timeout),
            ("idle_timeout", self.idle_timeout),
            ("resync_interval", self.resync_interval),
            ("settle_delay", Some(self.settle_delay)),
            ("poll_interval", Some(self.poll_interval)),
            ("info_interval", self.info_interval),
        ];
        if let Some((name, _)) = waits.into_iter().find(|(_, wait)| *wait == Some(Duration::ZERO)) {
            return Err(ConfigError::Wait(name));
        }
        if self.min_wait.is_zero() || self.min_wait > self.max_wait {
            return Err(ConfigError::Waits);
        }
        if !self.key.is_empty() && !is_fit(&self.key) {
            return Err(ConfigError::Key);
        }
        Ok(())
    }
}
