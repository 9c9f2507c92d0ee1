//! Settings of the agent.

use super::BackoffConfig;
use crate::Dialect;
use crate::command::{Command, Handshake, SendError};
use crate::session;
use crate::wire::Object;
use std::collections::BTreeSet;
use std::time::Duration;

/// Settings of an [`Agent`](super::Agent). Every duration and limit of the protocol is here or in
/// [`session`](Self::session), with the original's value where it has one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Settings of each connection, the dialect among them. The seed is that of the whole agent; it must be another one
    /// at each start. `serves_ping` has no effect under the original's dialect.
    pub session: session::Config,
    /// Whether a connection begins with a handshake; otherwise it is ready at once and begins with a ping. It does.
    pub handshake: bool,
    /// Names the machine in the handshake: a hardware address, at most 1024 bytes.
    pub id: String,
    /// The agent's version, at most 1024 bytes.
    pub version: String,
    /// What `status` says the agent is there for. `STANDBY`.
    pub mode: String,
    /// Methods of the application, by name; they come as [`Event::Command`](super::Event::Command). Known names have no
    /// effect. None.
    pub methods: BTreeSet<String>,
    /// How long an attempt to connect may take, counted from [`Output::Connect`](super::Output::Connect); above 0.
    /// 30 s.
    pub connect_timeout: Duration,
    /// The waits between attempts.
    pub backoff: BackoffConfig,
    /// How long the answer to a log entry, a report or a command of the application is waited for, above 0. 60 s;
    /// `None` waits as long as the connection lasts, as the original does.
    pub call_timeout: Option<Duration>,
    /// Time between two reports of a running task, above 0. 10 s.
    pub report_interval: Duration,
    /// Whether tasks are reported at all. `None` goes by the dialect: the document's reports, the original's does not.
    pub reports: Option<bool>,
    /// What a report says remains to be done while nothing is known. 60 s.
    pub initial_eta: Duration,
    /// Whether an `error` or `complete` that was sent, and not answered before its connection ended, is sent again over
    /// the next one: the server may not have got it. It is; otherwise it is sent once at most.
    pub repeat_unanswered_end: bool,
    /// How long `run_image` waits for the answer to its `complete` before it leaves for the image, counted from
    /// [`kexec_target`](super::Agent::kexec_target). 10 s.
    pub leave_timeout: Duration,
    /// How many tasks may be unfinished. At it further ones are answered with an error. 64.
    pub max_tasks: usize,
    /// How many ids of tasks that have ended are remembered, so that they are not used again; the oldest go first.
    /// 1024; the original remembers all.
    pub max_ended_tasks: usize,
}

/// Which setting cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting of the connections.
    #[error(transparent)]
    Session(#[from] session::ConfigError),
    /// A wait of 0, by its name in [`Config`]: something would be given up before it can begin, or tasks be reported without end.
    #[error("{0} must be above 0")]
    Wait(&'static str),
    /// The handshake would be refused.
    #[error("id and version must have at most 1024 bytes each")]
    Handshake,
    /// A wait of 0, a factor that is not finite or below 1, a spread that is not from 0 to 0.5.
    #[error("backoff must have waits above 0, a factor of at least 1 and a spread from 0 to 0.5")]
    Backoff,
}

impl Config {
    /// Returns the original's settings for a machine and an agent of this version.
    #[must_use]
    pub fn new(id: impl Into<String>, version: impl Into<String>, seed: u64) -> Self {
        Self {
            session: session::Config::new(seed),
            handshake: true,
            id: id.into(),
            version: version.into(),
            mode: "STANDBY".into(),
            methods: BTreeSet::new(),
            connect_timeout: Duration::from_secs(30),
            backoff: BackoffConfig::default(),
            call_timeout: Some(Duration::from_secs(60)),
            report_interval: Duration::from_secs(10),
            reports: None,
            initial_eta: Duration::from_secs(60),
            repeat_unanswered_end: true,
            leave_timeout: Duration::from_secs(10),
            max_tasks: 64,
            max_ended_tasks: 1024,
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let waits = [("connect_timeout", self.connect_timeout), ("report_interval", self.report_interval)];
        let mut waits = waits.into_iter().chain(self.call_timeout.map(|wait| ("call_timeout", wait)));
        if let Some((name, _)) = waits.find(|(_, wait)| wait.is_zero()) {
            return Err(ConfigError::Wait(name));
        }
        self.session.check()?;
        self.handshake_params().map(drop).map_err(|_| ConfigError::Handshake)
    }

    /// Returns the parameters of the handshake.
    pub(super) fn handshake_params(&self) -> Result<Object, SendError> {
        let handshake = Handshake { id: self.id.clone(), version: self.version.clone() };
        Command::Handshake(handshake).params(self.dialect())
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.session.dialect
    }

    pub(super) fn reports(&self) -> bool {
        self.reports.unwrap_or(self.dialect() == Dialect::Document)
    }
}
