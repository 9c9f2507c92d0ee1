//! Settings of the agent.

use crate::Secret;
use crate::message::{FieldError, Register};
use crate::value::{Address, SessionEventType};
use std::num::NonZeroU16;
use std::time::Duration;

/// Settings of an [`Agent`](super::Agent). Every duration and limit is here. `Debug` hides the code.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The node's name, 1 to 256 characters. For registration.
    pub name: String,
    /// The node's address. For registration and heartbeats.
    pub ip: Address,
    /// The port of the node's own HTTP server. For registration.
    pub port: NonZeroU16,
    /// Where the node is, 1 to 256 characters. For registration.
    pub region: String,
    /// The node's domain, 1 to 256 characters. For registration. None.
    pub domain: Option<String>,
    /// The code to register with if there is no key, 1 to 256 characters. None: the agent asks for one by
    /// [`Event::NeedsCode`](super::Event::NeedsCode).
    pub code: Option<Secret>,
    /// Whether heartbeats carry the address. They do.
    pub heartbeat_has_ip: bool,
    /// Whether the gRPC target is reached without TLS and is not this machine. It is not. If so
    /// [`Event::CleartextTarget`](super::Event::CleartextTarget) says it once (§15).
    pub cleartext: bool,
    /// How often statistics are reported, above 0. 2 s.
    pub stats_interval: Duration,
    /// How often it is reported who is connected, above 0. 5 s.
    pub online_interval: Duration,
    /// How often there is a heartbeat, above 0. 10 s.
    pub heartbeat_interval: Duration,
    /// How often there is one while Core does not know the key, above 0. 60 s.
    pub unauthorized_interval: Duration,
    /// How often traffic is sampled and frozen, at whole multiples of this on the wall clock; at least 1 ms. 60 s.
    pub usage_interval: Duration,
    /// Traffic that was frozen on the minute is sent after a wait below this that is always the same for one seed, so that
    /// many nodes do not fall on Core at once. 60 s; zero is at once.
    pub usage_spread: Duration,
    /// How long a sample of the counters may take, above 0; then the agent goes on without. 5 s. At the end at most
    /// half of [`close_timeout`](Self::close_timeout).
    pub sample_timeout: Duration,
    /// How long session events may wait for more of them, above 0. 5 s.
    pub session_interval: Duration,
    /// How many session events go into one call at most, and do not wait any longer; at least 1. 100.
    pub session_batch: usize,
    /// How many session events wait at most; the oldest are dropped, and counted. 10 000.
    pub max_sessions: usize,
    /// How the types of session events are written. As they are.
    pub session_spelling: Spelling,
    /// How often gRPC is tried while HTTP stands in for it, above 0. 30 s.
    pub probe_interval: Duration,
    /// After how many failures of the transport in a row HTTP stands in for gRPC; at least 1. 3.
    pub fallback_after: u32,
    /// How long a call may take, above 0. 10 s. Statistics and online users may take their period.
    pub call_timeout: Duration,
    /// How long fetching the configuration may take, above 0. 30 s.
    pub config_timeout: Duration,
    /// The wait after the first failure, above 0. 1 s. Doubled by each further failure, and made up to a fifth shorter or
    /// longer by chance.
    pub min_backoff: Duration,
    /// The longest wait before chance, not below the shortest. 60 s.
    pub max_backoff: Duration,
    /// The wait after a configuration that could not be taken, above 0. 5 s; doubled by each further one.
    pub min_cooling: Duration,
    /// The longest such wait, not below the shortest. 5 min.
    pub max_cooling: Duration,
    /// How long a call that Core does not have on one link goes over the other, or waits if there is none; above 0. 5 min.
    pub missing_wait: Duration,
    /// How many entries a batch has at most; at least 1. 500.
    pub batch_entries: usize,
    /// How many bytes of JSON a batch has at most, unless one entry alone has more. 90 000.
    pub batch_bytes: usize,
    /// How many batches of traffic wait before the oldest are merged; at least 2. 1 440.
    pub max_batches: usize,
    /// What becomes of traffic of users of which nobody can tell whether Core took it. It is sent again.
    pub usage_policy: Policy,
    /// The same of outbounds, where Core cannot recognise what it took already. It is discarded.
    pub outbound_policy: Policy,
    /// How long a batch that Core may have taken is sent again before it is handed to the application, counted on the
    /// wall clock from its first attempt: somewhat shorter than Core recognises it, which is 24 h from when it has got
    /// it first. 23 h.
    pub resend_window: Duration,
    /// How many answers `UNKNOWN` in a row make the agent suspect its key; at least 1. 5.
    pub suspect_after: u32,
    /// How often Core may ask to sync with the revision that was confirmed before the agent suspects the schema; at least 1. 3.
    pub mismatch_after: u32,
    /// How many oddities of attribution are told within a usage period. 16. All of them are counted.
    pub max_anomalies: u32,
    /// How long closing may take, above 0. 5 s.
    pub close_timeout: Duration,
    /// What the chance in waits is made of: another one for each node. 0.
    pub seed: u64,
}

/// What becomes of traffic of which nobody can tell whether Core took it (§9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these policies")]
pub enum Policy {
    /// It is sent again as it is. A Core that does not recognise it counts it twice.
    Resend,
    /// It is handed to the application.
    Quarantine,
    /// It is dropped; the application is told. Core may never count it.
    Discard,
}

/// How the types of session events are written (§6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "an application may spell them as it likes")]
pub enum Spelling {
    /// As the application spells them.
    #[default]
    AsGiven,
    /// In lower case.
    Lower,
    /// In upper case.
    Upper,
}

impl Spelling {
    pub(super) fn of(self, event_type: &SessionEventType) -> SessionEventType {
        match self {
            Self::AsGiven => event_type.clone(),
            Self::Lower => event_type.to_lower_case(),
            Self::Upper => event_type.to_upper_case(),
        }
    }
}

/// Which setting cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A wait of 0, by its name in [`Config`]: the agent would never rest, or would give up before it begins.
    #[error("{0} must be above 0")]
    Wait(&'static str),
    /// An interval too short for the wall clock.
    #[error("{0} must be at least 1 ms")]
    Interval(&'static str),
    /// The bounds of waits are the wrong way round.
    #[error("{least} must not be above {most}")]
    Bounds {
        /// The setting of the shortest wait.
        least: &'static str,
        /// That of the longest one.
        most: &'static str,
    },
    /// A limit leaves no room for anything.
    #[error("{name} must be at least {least}")]
    Limit {
        /// The setting.
        name: &'static str,
        /// What it has to be at least.
        least: usize,
    },
    /// What is said at registration breaks a rule.
    #[error("{0}")]
    Registration(FieldError),
}

impl Config {
    /// Returns the usual settings.
    #[must_use]
    pub fn new(name: impl Into<String>, ip: Address, port: NonZeroU16, region: impl Into<String>) -> Self {
        let seconds = Duration::from_secs;
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Self {
            name: name.into(),
            ip,
            port,
            region: region.into(),
            domain: None,
            code: None,
            heartbeat_has_ip: true,
            cleartext: false,
            stats_interval: seconds(2),
            online_interval: seconds(5),
            heartbeat_interval: seconds(10),
            unauthorized_interval: seconds(60),
            usage_interval: seconds(60),
            usage_spread: seconds(60),
            sample_timeout: seconds(5),
            session_interval: seconds(5),
            session_batch: 100,
            max_sessions: 10_000,
            session_spelling: Spelling::default(),
            probe_interval: seconds(30),
            fallback_after: 3,
            call_timeout: seconds(10),
            config_timeout: seconds(30),
            min_backoff: seconds(1),
            max_backoff: seconds(60),
            min_cooling: seconds(5),
            max_cooling: minutes(5),
            missing_wait: minutes(5),
            batch_entries: 500,
            batch_bytes: 90_000,
            max_batches: 1_440,
            usage_policy: Policy::Resend,
            outbound_policy: Policy::Discard,
            resend_window: minutes(23 * 60),
            suspect_after: 5,
            mismatch_after: 3,
            max_anomalies: 16,
            close_timeout: seconds(5),
            seed: 0,
        }
    }

    /// Returns the request to register with a code.
    pub(super) fn registration(&self, code: Secret) -> Register {
        Register {
            code,
            name: self.name.clone(),
            ip: self.ip,
            port: self.port,
            region: self.region.clone(),
            domain: self.domain.clone(),
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.check_waits()?;
        self.check_limits()?;
        let code = self.code.clone().unwrap_or_else(|| Secret::new("none"));
        self.registration(code).check().map_err(ConfigError::Registration)
    }

    fn check_waits(&self) -> Result<(), ConfigError> {
        let waits = [
            ("stats_interval", self.stats_interval),
            ("online_interval", self.online_interval),
            ("heartbeat_interval", self.heartbeat_interval),
            ("unauthorized_interval", self.unauthorized_interval),
            ("sample_timeout", self.sample_timeout),
            ("session_interval", self.session_interval),
            ("probe_interval", self.probe_interval),
            ("call_timeout", self.call_timeout),
            ("config_timeout", self.config_timeout),
            ("min_backoff", self.min_backoff),
            ("min_cooling", self.min_cooling),
            ("missing_wait", self.missing_wait),
            ("close_timeout", self.close_timeout),
        ];
        if let Some((name, _)) = waits.into_iter().find(|(_, wait)| wait.is_zero()) {
            return Err(ConfigError::Wait(name));
        }
        if self.usage_interval.as_millis() == 0 {
            return Err(ConfigError::Interval("usage_interval"));
        }
        if self.min_backoff > self.max_backoff {
            return Err(ConfigError::Bounds { least: "min_backoff", most: "max_backoff" });
        }
        if self.min_cooling > self.max_cooling {
            return Err(ConfigError::Bounds { least: "min_cooling", most: "max_cooling" });
        }
        Ok(())
    }

    fn check_limits(&self) -> Result<(), ConfigError> {
        let limits = [
            ("fallback_after", self.fallback_after as usize, 1),
            ("suspect_after", self.suspect_after as usize, 1),
            ("mismatch_after", self.mismatch_after as usize, 1),
            ("session_batch", self.session_batch, 1),
            ("batch_entries", self.batch_entries, 1),
            ("max_batches", self.max_batches, 2),
        ];
        match limits.into_iter().find(|(_, limit, least)| limit < least) {
            Some((name, _, least)) => Err(ConfigError::Limit { name, least }),
            None => Ok(()),
        }
    }
}
