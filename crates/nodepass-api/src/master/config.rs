//! Settings of the master.

use super::{Compat, Entropy};
use crate::Release;
use crate::url::{Inherited, MasterUrl};
use std::time::Duration;

/// Settings of a [`Master`](super::Master). Every duration and limit of the protocol is here, with the original's value
/// where it has one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Whom to follow where releases differ. 1.14.
    pub compat: Compat,
    /// What it answers where the original stays silent. Nothing, but under [`Compat::Document`] a refusal.
    pub silence: Silence,
    /// Under which paths it serves. Both.
    pub paths: Paths,
    /// The path before `/v1`, with a slash at its beginning and none at its end. `/api`.
    pub prefix: String,
    /// The release whose parameters the `config` of an instance spells out, and which decides what [`Compat`] leaves open: whether
    /// a new instance takes an alias. That of `compat`.
    pub release: Release,
    /// The `ver` of `/info`. That of the release.
    pub version: String,
    /// The `name` of `/info`: the host of the master's URL.
    pub name: String,
    /// `log`, `tls`, `crt` and `key` of the master's URL: instances that have none inherit them, and `/info` shows them.
    /// Nothing, and no TLS.
    pub inherited: Inherited,
    /// The operating system in `/info`. That which this was built for.
    pub os: String,
    /// The processor in `/info`, as Go names it. That which this was built for.
    pub arch: String,
    /// The wall clock at the `now` that is given to [`Master::new`](super::Master::new): milliseconds since the beginning of
    /// 1970. Times of events come from it. 0.
    pub unix_milliseconds: i64,
    /// Where ids and keys come from.
    pub entropy: Entropy,
    /// How often processes report, above 0: what is overdue, and how long a dial may take, follow from it. 5 s.
    pub report_interval: Duration,
    /// How often a backup is written and instances in error are restarted, above 0. 1 h.
    pub reload_interval: Duration,
    /// How long a process may take to stop, counted from [`Output::Stop`](super::Output::Stop), before it is killed,
    /// and then before it is taken for gone. 5 s.
    pub stop_timeout: Duration,
    /// How long stopping the master may take, counted from [`close`](super::Master::close), which says how long storing
    /// may take after that. 5 s.
    pub shutdown_timeout: Duration,
    /// The wait between the stop and the start of a restart. 100 ms.
    pub restart_pause: Duration,
    /// The wait between two starts when the master starts. 100 ms.
    pub start_spacing: Duration,
    /// How long after a change the state is stored; changes in between are stored with it. 100 ms.
    pub store_delay: Duration,
    /// How long after a failure storing is tried again, above 0. 5 s.
    pub store_retry: Duration,
    /// How long reading the machine's figures may take. 2 s.
    pub system_timeout: Duration,
    /// How many dials of tcping there may be at a time, above 0. 10.
    pub max_dials: usize,
    /// How long a tcping waits for its turn. 1 s.
    pub dial_wait: Duration,
    /// The longest body of a request, in bytes. 1 MiB; a longer one is answered with 413.
    pub max_body: usize,
    /// The longest alias of a level without a limit of its own, and the most bytes of all labels of an instance. 64 KiB; more is
    /// answered with 413.
    pub max_labels: usize,
    /// The longest instance URL, in bytes. 16 KiB; a longer one is none.
    pub max_url: usize,
    /// The longest line of a log, in bytes; a longer one is cut. 64 KiB.
    pub max_line: usize,
    /// How many instances there may be. 65 536; a further one is refused with 503.
    pub max_instances: usize,
    /// How many event streams there may be, above 0. 1024; a further one is refused with 503.
    pub max_streams: usize,
    /// How many requests may wait for a dial, for figures or for a process, above 0. 1024; a further one is refused with 503.
    pub max_waiting: usize,
    /// How many events may wait for a reader, above 0; what does not fit is lost and told of. 1024, where the original has 10.
    pub stream_queue: usize,
    /// How many bytes may wait for a reader, above 0. 4 MiB. Up to four pieces more are with the driver until
    /// [`handle_written`](super::Master::handle_written): an event each, or some 32 KiB of the first ones.
    pub stream_bytes: usize,
    /// Whether a reader that has lost events is told by a comment, `: lost 3`, which readers that do not know of it skip. No.
    pub announces_loss: bool,
}

/// What a master answers where the original changes nothing and says nothing: a body of PATCH that cannot be read, an
/// unknown action of 1.6, an alias that is too long for the release, a change of the key record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Silence {
    /// 200 with the unchanged object.
    Keep,
    /// 400 or 403.
    Refuse,
}

/// Under which paths a master serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Paths {
    /// `<prefix>/v1/…` as the original has them and `<prefix>/…` as the document has them.
    #[default]
    Both,
    /// `<prefix>/v1/…` only.
    Versioned,
}

/// Which setting cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A limit of 0, by its name in [`Config`]: nothing could go on.
    #[error("{0} must be above 0")]
    Limit(&'static str),
    /// A wait of 0, by its name in [`Config`]: the master would never rest.
    #[error("{0} must be above 0")]
    Wait(&'static str),
    /// A prefix that does not begin with a slash, or ends with one.
    #[error("prefix must begin with a slash and not end with one")]
    Prefix,
}

impl Config {
    /// Returns the original's settings.
    #[must_use]
    pub fn new(compat: Compat, entropy: Entropy) -> Self {
        let second = Duration::from_secs(1);
        let moment = Duration::from_millis(100);
        Self {
            compat,
            silence: if compat == Compat::Document { Silence::Refuse } else { Silence::Keep },
            paths: Paths::default(),
            prefix: "/api".into(),
            release: compat.release(),
            version: compat.release().to_string(),
            name: String::new(),
            inherited: Inherited::default(),
            os: std::env::consts::OS.into(),
            arch: go_name(std::env::consts::ARCH).into(),
            unix_milliseconds: 0,
            entropy,
            report_interval: second * 5,
            reload_interval: second * 3600,
            stop_timeout: second * 5,
            shutdown_timeout: second * 5,
            restart_pause: moment,
            start_spacing: moment,
            store_delay: moment,
            store_retry: second * 5,
            system_timeout: second * 2,
            max_dials: 10,
            dial_wait: second,
            max_body: 1 << 20,
            max_labels: 64 << 10,
            max_url: 16 << 10,
            max_line: 64 << 10,
            max_instances: 65_536,
            max_streams: 1024,
            max_waiting: 1024,
            stream_queue: 1024,
            stream_bytes: 4 << 20,
            announces_loss: false,
        }
    }

    /// Takes what a master's URL says: the prefix, the name, and what instances inherit.
    pub fn take_url(&mut self, url: &MasterUrl) {
        self.prefix = url.prefix().into();
        self.name = url.host().into();
        self.inherited = url.inherited();
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let waits = [
            ("report_interval", self.report_interval),
            ("reload_interval", self.reload_interval),
            ("store_retry", self.store_retry),
        ];
        if let Some((name, _)) = waits.into_iter().find(|(_, wait)| wait.is_zero()) {
            return Err(ConfigError::Wait(name));
        }
        let limits = [
            ("max_dials", self.max_dials),
            ("max_streams", self.max_streams),
            ("max_waiting", self.max_waiting),
            ("stream_queue", self.stream_queue),
            ("stream_bytes", self.stream_bytes),
        ];
        if let Some((name, _)) = limits.into_iter().find(|(_, limit)| *limit == 0) {
            return Err(ConfigError::Limit(name));
        }
        if !self.prefix.starts_with('/') || self.prefix.ends_with('/') {
            return Err(ConfigError::Prefix);
        }
        Ok(())
    }
}

fn go_name(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}
