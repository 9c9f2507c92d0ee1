//! Installing a target: ask the Dash who it is, and find out what that makes of the configuration. §1.

use crate::endpoint::{DEFAULT_USER_AGENT, Endpoint};
use crate::timer::Timers;
use crate::wire::{DecodeError, IdentityResponse};
use crate::{
    Delivery, ExpiryProbe, Failure, FailureKind, Fallback, ProbeOutcome, ReportConfig, ReportTarget, Scheme,
    Secret, Target, TargetError,
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use web_time::Instant;

/// Settings of an [`Install`], with the original's values.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The most time one exchange may take. 10 s.
    pub request_timeout: Duration,
    /// The most time everything may take, counted from [`Install::new`]; the wait for [`Install::choose`] has no limit.
    /// 15 s.
    pub timeout: Duration,
    /// The most time that looking at an expired certificate may take. 5 s.
    pub probe_timeout: Duration,
    /// Whether the URL must be `https` and never fall back. Off.
    pub require_https: bool,
    /// How many bytes of the answer are looked at. 1 048 576; the original has no limit.
    pub max_response: usize,
    /// What requests call themselves. `ithiltir-proto/<version>`.
    pub user_agent: HeaderValue,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(15),
            probe_timeout: Duration::from_secs(5),
            require_https: false,
            max_response: crate::wire::RESPONSE_LIMIT,
            user_agent: DEFAULT_USER_AGENT,
        }
    }
}

/// Names a request or a probe; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

/// Work for the driver, in order.
#[expect(clippy::exhaustive_enums, reason = "new work must not compile away in a driver")]
#[expect(clippy::large_enum_variant, reason = "outputs are taken one by one")]
pub enum Output {
    /// Send this, follow no redirect, then report `handle_response` or `handle_failure` once.
    Request {
        /// Names the exchange.
        id: RequestId,
        /// The whole request.
        request: Request<Bytes>,
    },
    /// Look at a certificate, then report `handle_probe` once.
    Probe {
        /// Names the probe.
        id: RequestId,
        /// Where to look and how.
        probe: ExpiryProbe,
    },
    /// The outcome of this request or probe is no longer wanted.
    Cancel(RequestId),
    /// Tell the application.
    Event(Event),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The Dash is spoken to without TLS: the key went out in the clear. The saved URL stays `https`.
    FellBack {
        /// The failure that led to it.
        cause: FailureKind,
    },
    /// The certificate has expired and was not good before.
    FallbackRefused {
        /// Why.
        outcome: ProbeOutcome,
    },
    /// The Dash is known under another URL or key: [`Install::choose`] has to say what to do.
    Conflict {
        /// Number of the target with the same installation.
        existing: i64,
    },
    /// It is over; nothing follows.
    Finished(Result<Installed, InstallError>),
}

/// What the configuration looks like afterwards.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a configuration changes or it does not")]
pub enum Installed {
    /// Nothing has to be written.
    Unchanged,
    /// This has to be written.
    Changed(ReportConfig),
}

/// What to do about a Dash that is known under another URL or key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the original asks for one of two")]
pub enum Choice {
    /// Keep the configuration as it is.
    Keep,
    /// Give the known target the new URL and key.
    Replace,
}

/// Why a target was not installed; the configuration stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The URL or the key cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The URL's path does not end with `/metrics`.
    #[error("the URL's path does not end with /metrics")]
    NoIdentityUrl,
    /// An answer other than 200.
    #[error("the Dash answered with status {0}")]
    Status(StatusCode),
    /// The answer names no installation.
    #[error("the Dash's answer is not an identity: {0}")]
    Answer(DecodeError),
    /// There was no answer.
    #[error("the Dash gave no answer: {0}")]
    Transport(FailureKind),
    /// The highest number that a target can have is taken.
    #[error("there is no number left for another target")]
    NoNumberLeft,
    /// It was given up.
    #[error("the installation was given up")]
    Closed,
}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no conflict to choose in.
    #[error("there is nothing to choose")]
    NothingToChoose,
}

/// The machine that installs one target.
///
/// # States
/// *Asking* (a request is in flight), *probing* (a look at an expired certificate is), *choosing* (a conflict waits for
/// [`choose`](Self::choose)), *closed*. What needs no request is closed at once: a target that is installed already, a
/// URL or a key that cannot be used, a URL without `/metrics`.
///
/// # Methods
/// - constructor: [`new`](Self::new)
/// - commands: [`choose`](Self::choose), [`close`](Self::close)
/// - inputs: [`handle_response`](Self::handle_response), [`handle_failure`](Self::handle_failure),
///   [`handle_probe`](Self::handle_probe), [`handle_timeout`](Self::handle_timeout)
/// - outputs: [`poll_output`](Self::poll_output), [`poll_timeout`](Self::poll_timeout)
/// - getter: [`is_closed`](Self::is_closed)
///
/// After any input or command drain [`poll_output`](Self::poll_output), then wait for the next input, command or
/// the deadline. An outcome for an id that is no longer known is ignored. An `Instant` earlier than one seen before
/// counts as the latest seen.
///
/// # Example
/// ```
/// use ithiltir_proto::install::{Config, Event, Install, Installed, Output};
/// use ithiltir_proto::{Instant, ReportConfig, Secret};
///
/// let now = Instant::now();
/// let key = Secret::new("key");
/// let mut install = Install::new(
///     Config::default(), "http://h/metrics", &key, ReportConfig::default(), now);
/// let Some(Output::Request { id, request }) = install.poll_output() else { panic!() };
/// assert_eq!(request.uri(), "http://h/identity");
/// install.handle_response(id, http::Response::new(r#"{"install_id":"server_1"}"#.into()), now);
/// let Some(Output::Event(Event::Finished(Ok(Installed::Changed(config))))) = install.poll_output()
/// else { panic!() };
/// assert_eq!(config.targets[0].server_install_id, "server_1");
/// ```
pub struct Install {
    config: Config,
    /// As it will be written.
    url: String,
    key: Secret,
    existing: ReportConfig,
    target: Option<Target>,
    state: State,
    next_id: u64,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
    now: Instant,
}

enum State {
    Asking { id: RequestId },
    Probing { id: RequestId, cause: FailureKind },
    Choosing { place: usize },
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Exchange,
    Total,
}

impl Install {
    /// Starts to install the target with this URL and key into a configuration.
    pub fn new(config: Config, url: &str, key: &Secret, existing: ReportConfig, now: Instant) -> Self {
        let mut install = Self {
            url: url.trim().to_owned(),
            key: key.trimmed(),
            existing,
            target: None,
            state: State::Closed,
            next_id: 1,
            timers: Timers::new(),
            outputs: VecDeque::new(),
            now,
            config,
        };
        if install.is_installed() {
            install.finish(Ok(Installed::Unchanged));
        } else if let Err(error) = install.begin() {
            install.finish(Err(error));
        }
        install
    }

    /// Decides a conflict.
    ///
    /// # Errors
    /// [`CommandError::NothingToChoose`] if there is none.
    pub fn choose(&mut self, choice: Choice, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        let State::Choosing { place } = self.state else {
            return Err(CommandError::NothingToChoose);
        };
        match choice {
            Choice::Keep => self.finish(Ok(Installed::Unchanged)),
            Choice::Replace => {
                let target = &mut self.existing.targets[place];
                target.url.clone_from(&self.url);
                target.key = self.key.clone();
                self.finish_changed();
            }
        }
        Ok(())
    }

    /// Gives up. Nothing happens once it is over.
    pub fn close(&mut self, now: Instant) {
        self.see(now);
        if !self.is_closed() {
            self.cancel();
            self.finish(Err(InstallError::Closed));
        }
    }

    /// Takes the answer to the request. The driver passes at most [`Config::max_response`] bytes of it.
    pub fn handle_response(&mut self, id: RequestId, response: Response<Bytes>, now: Instant) {
        self.see(now);
        if !matches!(self.state, State::Asking { id: current } if current == id) {
            return;
        }
        if response.status() != StatusCode::OK {
            return self.finish(Err(InstallError::Status(response.status())));
        }
        let body = response.body();
        match IdentityResponse::decode(&body[..body.len().min(self.config.max_response)]) {
            Ok(identity) => self.identified(identity.install_id),
            Err(error) => self.finish(Err(InstallError::Answer(error))),
        }
    }

    /// Takes the news that the request has no answer. One fallback is tried, by the rules of
    /// [`Fallback::decide`].
    pub fn handle_failure(&mut self, id: RequestId, failure: Failure, now: Instant) {
        self.see(now);
        if !matches!(self.state, State::Asking { id: current } if current == id) {
            return;
        }
        let cause = failure.kind;
        let target = self
            .target
            .as_ref()
            .filter(|target| target.scheme() == Scheme::Https && !self.config.require_https);
        match target.map(|target| (Fallback::decide(cause, target.host_kind()), target.expiry_probe())) {
            None | Some((Fallback::Stay, _)) => self.finish(Err(InstallError::Transport(cause))),
            Some((Fallback::Switch, _)) => self.fall_back(cause),
            Some((Fallback::Probe, probe)) => {
                let id = self.take_id();
                self.timers.set(Timer::Exchange, self.now.checked_add(self.config.probe_timeout));
                self.state = State::Probing { id, cause };
                self.outputs.push_back(Output::Probe { id, probe });
            }
        }
    }

    /// Takes the answer to a probe.
    pub fn handle_probe(&mut self, id: RequestId, outcome: ProbeOutcome, now: Instant) {
        self.see(now);
        match self.state {
            State::Probing { id: current, cause } if current == id => {
                if outcome == ProbeOutcome::FormerlyGood {
                    return self.fall_back(cause);
                }
                self.event(Event::FallbackRefused { outcome });
                self.finish(Err(InstallError::Transport(cause)));
            }
            State::Probing { .. } | State::Asking { .. } | State::Choosing { .. } | State::Closed => {}
        }
    }

    /// Lets time pass: whatever was due by `now` happens. Calling it early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.see(now);
        while let Some((_, timer)) = self.timers.pop_due(self.now) {
            self.cancel();
            let timed_out = Failure::new(Delivery::Perhaps, FailureKind::TimedOut);
            match (timer, &self.state) {
                (Timer::Exchange, &State::Asking { id }) => self.handle_failure(id, timed_out, self.now),
                (Timer::Exchange, &State::Probing { id, .. }) => {
                    self.handle_probe(id, ProbeOutcome::NoAnswer, self.now);
                }
                (Timer::Exchange, State::Choosing { .. } | State::Closed) => {}
                (Timer::Total, _) => self.finish(Err(InstallError::Transport(FailureKind::TimedOut))),
            }
        }
    }

    /// Returns the next piece of work; `None` means that it waits for an input, a choice or its deadline.
    #[must_use = "an output that is not carried out is lost"]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is next due; `None` if nothing is. Ask again after every
    /// drain.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn see(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn is_installed(&self) -> bool {
        let same = |target: &ReportTarget| {
            target.url == self.url && target.key == self.key && !target.server_install_id.trim().is_empty()
        };
        self.existing.targets.iter().any(same)
    }

    fn begin(&mut self) -> Result<(), InstallError> {
        let target = Target::new(&self.url, &self.key)?;
        if self.config.require_https {
            target.require_https()?;
        }
        let endpoint = self.endpoint(&target).ok_or(InstallError::NoIdentityUrl)?;
        self.timers.set(Timer::Total, self.now.checked_add(self.config.timeout));
        self.target = Some(target);
        self.ask(&endpoint);
        Ok(())
    }

    fn endpoint(&self, target: &Target) -> Option<Endpoint> {
        target.sibling("identity", &self.config.user_agent)
    }

    fn ask(&mut self, endpoint: &Endpoint) {
        let id = self.take_id();
        self.timers.set(Timer::Exchange, self.now.checked_add(self.config.request_timeout));
        self.state = State::Asking { id };
        let request = endpoint.post(Bytes::from_static(b"{}"));
        self.outputs.push_back(Output::Request { id, request });
    }

    fn fall_back(&mut self, cause: FailureKind) {
        let target = self.target.take().map(|target| target.with_scheme(Scheme::Http));
        match target.as_ref().and_then(|target| self.endpoint(target)) {
            Some(endpoint) => {
                self.event(Event::FellBack { cause });
                self.ask(&endpoint);
            }
            None => self.finish(Err(InstallError::NoIdentityUrl)),
        }
        self.target = target;
    }

    /// A target with this identity is the one; else a target with this URL and key that has none gets it; else a new
    /// target is made.
    fn identified(&mut self, install_id: String) {
        let targets = &mut self.existing.targets;
        if let Some(place) = targets.iter().position(|target| target.server_install_id.trim() == install_id) {
            let known = &targets[place];
            if known.url == self.url && known.key == self.key {
                return self.finish(Ok(Installed::Unchanged));
            }
            let existing = known.id;
            self.timers.clear();
            self.state = State::Choosing { place };
            return self.event(Event::Conflict { existing });
        }
        let nameless = targets.iter_mut().find(|target| {
            target.url == self.url && target.key == self.key && target.server_install_id.trim().is_empty()
        });
        match nameless {
            Some(target) => target.server_install_id = install_id,
            None => {
                let Some(id) = self.existing.next_id() else {
                    return self.finish(Err(InstallError::NoNumberLeft));
                };
                let (url, key) = (self.url.clone(), self.key.clone());
                self.existing.targets.push(ReportTarget { id, url, key, server_install_id: install_id });
            }
        }
        self.finish_changed();
    }

    fn finish_changed(&mut self) {
        let changed = std::mem::take(&mut self.existing);
        self.finish(Ok(Installed::Changed(changed)));
    }

    fn finish(&mut self, outcome: Result<Installed, InstallError>) {
        self.state = State::Closed;
        self.timers.clear();
        self.event(Event::Finished(outcome));
    }

    fn cancel(&mut self) {
        match self.state {
            State::Asking { id } | State::Probing { id, .. } => self.outputs.push_back(Output::Cancel(id)),
            State::Choosing { .. } | State::Closed => {}
        }
    }

    fn take_id(&mut self) -> RequestId {
        self.next_id += 1;
        RequestId(self.next_id - 1)
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

impl fmt::Debug for Install {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Asking { .. } => "asking",
            State::Probing { .. } => "probing",
            State::Choosing { .. } => "choosing",
            State::Closed => "closed",
        };
        f.debug_struct("Install")
            .field("state", &format_args!("{state}"))
            .field("outputs", &self.outputs.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { id, request } => {
                let uri = crate::wire::redact_url(&request.uri().to_string());
                write!(f, "Request({}, {} {uri}, {} bytes)", id.0, request.method(), request.body().len())
            }
            Self::Probe { id, probe } => write!(f, "Probe({}, {}:{})", id.0, probe.host, probe.port),
            Self::Cancel(id) => write!(f, "Cancel({})", id.0),
            Self::Event(event) => write!(f, "Event({event:?})"),
        }
    }
}
