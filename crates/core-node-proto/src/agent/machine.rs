//! The machine itself: its inputs and timers, and what each of them leads to.

use super::calls::{Flight, Purpose};
use super::counters::{Counters, Traffic};
use super::link::LinkState;
use super::output::{ApplyFailed, ApplyId, CallId, CommandError, Event, Output, Seen, StoreId};
use super::reports::Sessions;
use super::sending::Sending;
use super::snapshot::{Restored, Snapshot};
use super::storing::Storing;
use super::sync::{Sync, SyncInput};
use super::traffic::Wanted;
use super::{Config, ConfigError};
use crate::call::{Failure, Link, Reply};
use crate::config::NodeConfig;
use crate::message::{NodeError, NodeStats, OutboundItem, SessionEvent, UsageEntry};
use crate::timer::Timers;
use crate::value::{NodeId, Revision, Timestamp};
use crate::wall_clock::WallClock;
use crate::{Secret, StoreFailed};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use web_time::Instant;

#[doc = include_str!("agent.md")]
pub struct Agent {
    pub(super) config: Config,
    /// All that is durable.
    pub(super) state: Snapshot,
    pub(super) life: Life,
    pub(super) sync: Sync,
    pub(super) link: LinkState,
    pub(super) storing: Storing,
    pub(super) flights: BTreeMap<Purpose, Flight>,
    pub(super) timers: Timers<Timer>,
    pub(super) outputs: VecDeque<Output>,
    pub(super) clock: WallClock,
    pub(super) now: Instant,
    pub(super) random: fastrand::Rng,
    last_id: u64,
    /// Counts keys.
    pub(super) key_generation: u64,
    pub(super) wanted: Option<Wanted>,
    /// When the usage period ends on the wall clock, in milliseconds since 1970.
    pub(super) period_end: i64,
    pub(super) usage: Sending,
    pub(super) outbound: Sending,
    /// How long traffic of a whole period waits before it is sent.
    pub(super) usage_wait: Duration,
    /// The change that says what is being handed over.
    pub(super) returned_gate: u64,
    pub(super) previous_since: Instant,
    pub(super) anomalies_told: u32,
    pub(super) anomalies_more: u64,
    pub(super) coolings: u32,
    pub(super) confirm_failures: u32,
    /// How often Core has asked for what it was told.
    pub(super) repeated_syncs: u32,
    pub(super) sessions: Sessions,
    pub(super) flying_error: Option<Arc<NodeError>>,
    pub(super) error_failures: u32,
    pub(super) dropped: Dropped,
}

/// Where the agent is in its life.
pub(super) enum Life {
    Unregistered,
    Registering {
        code: Secret,
        failures: u32,
        may_be_used: bool,
    },
    /// A key is being stored: the change that says so.
    Keeping {
        gate: u64,
    },
    Active,
    Unauthorized,
    Closing {
        may_call: bool,
        is_sampled: bool,
    },
    Closed,
}

/// Where an agent is in its life (§12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It has no key.
    Unregistered,
    /// It asks for one, or stores it.
    Registering,
    /// It reports.
    Active,
    /// Core does not know its key.
    Unauthorized,
    /// It sends what is left.
    Closing,
    /// Closed for good.
    Closed,
}

/// What was not sent, or not acknowledged, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Statistics that were unusable, had no way or no room to go at once, or were not acknowledged.
    pub stats: u64,
    /// Lists of who is online that had no way or no room to go at once, or were not acknowledged.
    pub online: u64,
    /// Session events beyond [`Config::max_sessions`], that Core refused, or that were left at the end.
    pub sessions: u64,
    /// Names among those online that are none of ours.
    pub names: u64,
    /// Oddities of attributions, told or not. What they are about is sent all the same.
    pub anomalies: u64,
}

/// Reasons to wake up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Call(Purpose),
    Register,
    Heartbeat,
    Probe,
    /// The usage period is over.
    Period,
    Sample,
    /// The next try to send traffic of users.
    Usage,
    Outbound,
    Sessions,
    Error,
    Confirm,
    Cooling,
    Stats,
    Online,
    Store,
    Close,
}

impl Agent {
    /// Starts an agent. `wall_clock` is the time of day at `now`. It registers, or begins to report, by itself.
    ///
    /// # Errors
    /// [`ConfigError`] if a setting cannot be.
    pub fn new(
        config: Config,
        restored: Restored,
        wall_clock: Timestamp,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let is_broken = matches!(restored, Restored::Broken);
        let state = match restored {
            Restored::Snapshot(snapshot) => *snapshot,
            Restored::Nothing | Restored::Broken => Snapshot::default(),
        };
        let mut random = fastrand::Rng::with_seed(config.seed);
        let usage_wait = config.usage_spread.min(A_CENTURY).mul_f64(random.f64());
        let mut agent = Self {
            storing: Storing::new(state.revision()),
            state,
            life: Life::Unregistered,
            sync: Sync::Idle,
            link: LinkState::new(),
            flights: BTreeMap::new(),
            timers: Timers::new(),
            outputs: VecDeque::new(),
            clock: WallClock::new(wall_clock, now),
            now,
            random,
            last_id: 0,
            key_generation: 0,
            wanted: None,
            period_end: i64::MAX,
            usage: Sending::default(),
            outbound: Sending::default(),
            usage_wait,
            returned_gate: 0,
            previous_since: now,
            anomalies_told: 0,
            anomalies_more: 0,
            coolings: 0,
            confirm_failures: 0,
            repeated_syncs: 0,
            sessions: Sessions::default(),
            flying_error: None,
            error_failures: 0,
            dropped: Dropped::default(),
            config,
        };
        agent.start(is_broken);
        Ok(agent)
    }

    fn start(&mut self, is_broken: bool) {
        if is_broken {
            self.event(Event::StateLost);
        }
        if self.config.cleartext {
            self.event(Event::CleartextTarget);
        }
        self.arm_period();
        self.begin();
        self.settle();
    }

    /// Asks for a key with a code. Also while Core does not know the key: the node then becomes another one.
    ///
    /// # Errors
    /// [`CommandError::Registered`], [`CommandError::Closed`]; [`CommandError::Invalid`] if the code breaks a rule.
    pub fn register(&mut self, code: Secret, now: Instant) -> Result<(), CommandError> {
        self.at(now);
        self.try_register(code)?;
        self.settle();
        Ok(())
    }

    /// Takes a key, and the node's id if it is another one. It is stored before it is used.
    ///
    /// # Errors
    /// [`CommandError::Key`] if it can be none, [`CommandError::Closed`].
    pub fn set_key(
        &mut self,
        key: Secret,
        node_id: Option<NodeId>,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.at(now);
        self.try_set_key(key, node_id)?;
        self.settle();
        Ok(())
    }

    /// Takes a session event. It is sent with others, over HTTP, and not kept over a restart.
    ///
    /// # Errors
    /// [`CommandError::Closed`].
    pub fn record_session(&mut self, event: SessionEvent, now: Instant) -> Result<(), CommandError> {
        self.at(now);
        self.add_session(event)?;
        self.settle();
        Ok(())
    }

    /// Reports an error, over HTTP, in the place of one that Core has not got. An applied configuration ends it.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] if it breaks a rule, [`CommandError::Closed`].
    pub fn report_error(&mut self, error: NodeError, now: Instant) -> Result<(), CommandError> {
        self.at(now);
        self.add_error(error)?;
        self.settle();
        Ok(())
    }

    /// Ends: samples the counters, freezes and stores, and tries once to send what waits, within
    /// [`Config::close_timeout`]. [`Event::Closed`] is the last output.
    pub fn close(&mut self, now: Instant) {
        self.at(now);
        if !matches!(self.life, Life::Closing { .. } | Life::Closed) {
            self.begin_closing();
            self.settle();
        }
    }

    /// Sets the time of day at `now`.
    pub fn set_wall_clock(&mut self, wall_clock: Timestamp, now: Instant) {
        self.at(now);
        self.clock.set(wall_clock, self.now);
        self.rearm_period();
    }

    /// Core has answered a call.
    pub fn handle_reply(&mut self, id: CallId, reply: Reply, now: Instant) {
        self.at(now);
        self.take_outcome(id, Ok(reply));
        self.settle();
    }

    /// A call has no reply.
    pub fn handle_failure(&mut self, id: CallId, failure: Failure, now: Instant) {
        self.at(now);
        self.take_outcome(id, Err(failure));
        self.settle();
    }

    /// A store is done, or failed. After a failure it is tried again.
    pub fn handle_stored(&mut self, id: StoreId, outcome: Result<(), StoreFailed>, now: Instant) {
        self.at(now);
        if !self.is_closed() {
            self.stored(id, outcome);
            self.settle();
        }
    }

    /// A configuration is in use, or is not and the one before stays.
    pub fn handle_applied(&mut self, id: ApplyId, outcome: Result<(), ApplyFailed>, now: Instant) {
        self.at(now);
        if !self.is_closed() {
            self.sync(SyncInput::Applied(id, outcome));
            self.settle();
        }
    }

    /// Takes the proxies' counters, asked for or not. Just before a proxy is stopped is a good time: what it counts after the
    /// last sample is lost with it.
    pub fn handle_counters(&mut self, counters: Counters, now: Instant) {
        self.at(now);
        if !self.is_closed() {
            self.take_counters(counters);
            self.sampled();
            self.settle();
        }
    }

    /// Takes statistics, asked for or not, and sends them if that is possible at once.
    pub fn handle_stats(&mut self, stats: NodeStats, now: Instant) {
        self.at(now);
        if !self.is_closed() {
            self.take_stats(stats);
        }
    }

    /// Takes who is connected, asked for or not, and sends it if that is possible at once. Nobody is a word, too.
    pub fn handle_online(&mut self, seen: &[Seen], now: Instant) {
        self.at(now);
        if !self.is_closed() {
            self.take_online(seen);
        }
    }

    /// Lets time pass: whatever was due by `now` happens. Calling it early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.at(now);
        while let Some((at, timer)) = self.timers.pop_due(self.now) {
            self.fire(timer, at);
            self.settle();
        }
    }

    /// Returns the next piece of work; `None` means that the agent waits for input or for its deadline.
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

    /// Returns where it is in its life.
    #[must_use]
    pub fn state(&self) -> State {
        match self.life {
            Life::Unregistered => State::Unregistered,
            Life::Registering { .. } | Life::Keeping { .. } => State::Registering,
            Life::Active => State::Active,
            Life::Unauthorized => State::Unauthorized,
            Life::Closing { .. } => State::Closing,
            Life::Closed => State::Closed,
        }
    }

    /// Whether [`Event::Closed`] was queued.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.life, Life::Closed)
    }

    /// Returns which way calls go that have both.
    #[must_use]
    pub fn link(&self) -> Link {
        self.link.current
    }

    /// Returns the configuration that was applied last, also before a restart: the proxies can run on it while Core is away.
    #[must_use]
    pub fn node_config(&self) -> Option<&Arc<NodeConfig>> {
        self.state.config.as_ref()
    }

    /// Returns its revision.
    #[must_use]
    pub fn revision(&self) -> Option<Revision> {
        self.state.revision()
    }

    /// Returns the node's id, if it is registered.
    #[must_use]
    pub fn node_id(&self) -> Option<&NodeId> {
        self.state.node_id.as_ref()
    }

    /// Returns the bytes of users whose names are none of ours (§8.4), restarts included.
    #[must_use]
    pub fn unattributed(&self) -> Traffic {
        self.state.unattributed
    }

    /// Returns the bytes of outbounds with tags that no report can carry, restarts included.
    #[must_use]
    pub fn unattributed_outbound(&self) -> Traffic {
        self.state.unattributed_outbound
    }

    /// Returns the bytes of users that are in no batch yet.
    #[must_use]
    pub fn accumulated(&self) -> Traffic {
        self.state.users.values().fold(Traffic::default(), |sum, &traffic| sum.plus(traffic))
    }

    /// Returns the bytes of users in batches that Core has not got, or may not have.
    #[must_use]
    pub fn waiting(&self) -> Traffic {
        let entries = self.state.usage.iter().flat_map(|batch| batch.entries.iter());
        entries.fold(Traffic::default(), |sum, entry| {
            sum.plus(Traffic { up: entry.bytes_up.get(), down: entry.bytes_down.get() })
        })
    }

    /// Returns how many batches of users' traffic wait.
    #[must_use]
    pub fn waiting_batches(&self) -> usize {
        self.state.usage.len()
    }

    /// Returns how many session events wait.
    #[must_use]
    pub fn waiting_sessions(&self) -> usize {
        self.sessions.waiting.len()
    }

    /// Returns what was not sent, or not acknowledged, since the start.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Returns all that is durable as it is now, stored or not.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.state
    }
}

impl Agent {
    fn at(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn arm(&mut self, timer: Timer, wait: Duration) {
        // Never rather than at once: a wait is above 0.
        self.timers.set(timer, self.now.checked_add(wait));
    }

    /// Arms a periodic timer that was due at `at`. Ticks that were missed are not made up.
    pub(super) fn arm_next(&mut self, timer: Timer, at: Instant, period: Duration) {
        let next = at.checked_add(period).filter(|&next| next > self.now);
        self.timers.set(timer, next.or_else(|| self.now.checked_add(period)));
    }

    /// Returns the wait after so many failures before.
    pub(super) fn backoff(&mut self, failures: u32) -> Duration {
        let wait = self.config.min_backoff.saturating_mul(1 << failures.min(31)).min(self.config.max_backoff);
        let wait = wait.min(A_CENTURY).mul_f64(0.8 + 0.4 * self.random.f64());
        wait.max(Duration::from_nanos(1))
    }

    fn fire(&mut self, timer: Timer, at: Instant) {
        match timer {
            Timer::Call(purpose) => self.call_timed_out(purpose),
            Timer::Register => self.send_registration(),
            Timer::Heartbeat => self.heartbeat_due(at),
            Timer::Probe => {
                self.arm_next(Timer::Probe, at, self.config.probe_interval);
                self.probe();
            }
            Timer::Period => self.period_over(),
            Timer::Sample => self.sampled(),
            Timer::Sessions => self.sessions_due(),
            Timer::Confirm => {} // the next settling sends it
            Timer::Cooling => self.sync(SyncInput::CoolingOver),
            Timer::Stats => self.stats_due(at),
            Timer::Online => self.online_due(at),
            Timer::Close => self.end(),
            Timer::Usage | Timer::Outbound | Timer::Error | Timer::Store => {}
        }
    }

    /// Does what has become possible. Everything that waits is looked at, so that no input has to know who waits for it.
    fn settle(&mut self) {
        if self.is_closed() {
            return;
        }
        self.use_stored_key();
        self.hand_over();
        self.sync(SyncInput::Stored);
        self.prepare::<UsageEntry>();
        self.prepare::<OutboundItem>();
        self.send_batch::<UsageEntry>();
        self.send_batch::<OutboundItem>();
        self.send_sessions();
        self.send_error();
        self.store();
        self.finish();
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("state", &self.state())
            .field("link", &self.link.current)
            .field("durable", &self.state)
            .field("calls", &self.flights.keys().collect::<Vec<_>>())
            .field("sessions", &self.sessions.waiting.len())
            .field("outputs", &self.outputs.len())
            .finish_non_exhaustive()
    }
}

/// Longer waits are never, and this one can still be made longer by chance.
pub(super) const A_CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);
