//! The machine itself: its commands, inputs and timers. What becomes of a request is in `serve`, of an instance in `lifecycle`, of
//! an event in `events`, and how all of it ends in `closing`.

use super::lifecycle::End;
use super::process::{Process, Then};
use super::record::{Record, empty_meta};
use super::snapshot::{Stored, StoredPeer};
use super::streams::Streams;
use super::tcping::Dials;
use super::{
    Compat, Config, ConfigError, DialId, Event, ExchangeId, Output, RunId, Snapshot, StartFailed,
    StoreFailed, StoreId, StoreTarget, SystemFigures, SystemId, answer,
};
use crate::Secret;
use crate::timer::Timers;
use crate::wire::{CheckPoint, EventKind, EventTime, Instance, InstanceId, Status};
use bytes::Bytes;
use http::{Response, StatusCode};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;
use web_time::Instant;

/// The master's state machine.
///
/// # States
/// The master is open until [`close`](Self::close), then it is closing: streams end, processes are stopped, the state is
/// stored; then it is closed. Each instance has one of these:
///
/// | status | process | leaves it by |
/// | --- | --- | --- |
/// | stopped | none | start: `Start`, and running once `handle_started` says so |
/// | running | lives | stop: `Stop`, and stopped once `handle_exited` says so; its own end: stopped, or error if it failed |
/// | error | none, or lives and is overdue or says that it fails | start, stop, restart as [`Compat`] says; a report of a process that lives |
///
/// Actions are answered before they are done, as the original does; `DELETE` and `PUT` are answered when the process has ended. What
/// is asked for while a process stops is done after it: nothing overlaps.
///
/// # Methods
/// - constructor: [`new`](Self::new)
/// - commands: [`close`](Self::close)
/// - inputs: [`handle_request`](Self::handle_request), [`handle_cancel`](Self::handle_cancel),
///   [`handle_written`](Self::handle_written), [`handle_started`](Self::handle_started),
///   [`handle_line`](Self::handle_line), [`handle_exited`](Self::handle_exited), [`handle_dialed`](Self::handle_dialed),
///   [`handle_system`](Self::handle_system), [`handle_stored`](Self::handle_stored),
///   [`handle_timeout`](Self::handle_timeout)
/// - outputs: [`poll_output`](Self::poll_output), [`poll_timeout`](Self::poll_timeout)
/// - getters: the rest
///
/// After any input or command drain [`poll_output`](Self::poll_output), then wait for the next input, command or the
/// deadline. Input for a run, an exchange or a dial that is no longer known is ignored. An `Instant` earlier than one seen
/// before counts as the latest seen.
///
/// # Example
/// An instance is made and starts.
/// ```
/// use nodepass_api::Instant;
/// use nodepass_api::master::{Compat, Config, Entropy, Event, Master, Output};
/// use nodepass_api::wire::{Instance, Status, decode};
///
/// let now = Instant::now();
/// let mut master = Master::new(Config::new(Compat::V1_14, Entropy::new([7; 32])), None, now)?;
/// let Some(Output::Event(Event::KeyCreated { key })) = master.poll_output() else { panic!() };
///
/// let request = http::Request::post("/api/v1/instances")
///     .header("x-api-key", key.expose())
///     .body(r#"{"url":"client://127.0.0.1:8080/127.0.0.1:3000?mode=1"}"#.into())?;
/// let exchange = master.handle_request(request, now);
/// let Some(Output::Respond { id, response }) = master.poll_output() else { panic!() };
/// assert_eq!((id, response.status().as_u16()), (exchange, 201));
/// let made: Instance = decode(response.body())?;
/// assert_eq!(made.status, Status::Stopped);
///
/// while let Some(output) = master.poll_output() {
///     if let Output::Start { run, .. } = output {
///         master.handle_started(run, Ok(()), now);
///     }
/// }
/// assert_eq!(master.instance(made.id.as_str()).map(|instance| &instance.status), Some(&Status::Running));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Master {
    pub(super) config: Config,
    /// The record that holds the API key.
    pub(super) key_record: Instance,
    pub(super) key: Secret,
    /// The document that describes the API, once somebody has asked for it.
    pub(super) description: Option<Bytes>,
    /// The master's id as `/info` has it: nothing during its first run.
    pub(super) told_id: Box<str>,
    pub(super) records: BTreeMap<InstanceId, Record>,
    pub(super) runs: BTreeMap<RunId, InstanceId>,
    /// Instances that are started one after the other when the master starts.
    pub(super) to_start: BTreeSet<InstanceId>,
    pub(super) streams: Streams,
    pub(super) dials: Dials,
    pub(super) systems: BTreeMap<SystemId, ExchangeId>,
    /// Exchanges that are answered later, and whether their clients still wait. One that does not takes its place until what
    /// it has asked for is done.
    pub(super) waiting: BTreeMap<ExchangeId, bool>,
    pub(super) timers: Timers<Timer>,
    pub(super) outputs: VecDeque<Output>,
    pub(super) life: Life,
    pub(super) storing: Option<StoreId>,
    pub(super) backing_up: Option<StoreId>,
    pub(super) is_changed: bool,
    pub(super) next_id: u64,
    pub(super) began: Instant,
    pub(super) now: Instant,
}

/// Where a master stands; see [`Master`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It serves.
    Open,
    /// It ends streams and processes, and stores.
    Closing,
    /// Closed for good.
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Open,
    Closing { is_stored: bool },
    Closed,
}

/// Reasons to wake up, in the order in which they go first when due at the same time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Dial(DialId),
    DialWait(ExchangeId),
    System(SystemId),
    /// A process that stops.
    Stop(InstanceId),
    /// The pause of a restart.
    Pause(InstanceId),
    /// A process that does not report.
    Overdue(InstanceId),
    NextStart,
    EndStreams,
    Store,
    Reload,
    /// A store that was under way when the time for the end was over.
    LastStore,
    Shutdown,
}

impl Master {
    /// Starts a master: emits the key as an event, and the starts of instances whose policy asks for it.
    ///
    /// Without a snapshot it is a new one, with a new key.
    ///
    /// # Errors
    /// [`ConfigError`] if a setting cannot be.
    pub fn new(mut config: Config, snapshot: Option<Snapshot>, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let is_new = snapshot.is_none();
        let snapshot = snapshot.unwrap_or_else(|| {
            let key = Secret::new(hex::encode(config.entropy.draw::<16>()));
            let master_id = hex::encode(config.entropy.draw::<8>());
            Snapshot::new(&key, &master_id, "", Vec::new())
        });
        let has_meta = config.compat.has_meta();
        let key = Secret::new(snapshot.key.clone());
        let mut key_record = blank(config.compat);
        key_record.id = InstanceId::key_record();
        key_record.url = snapshot.key;
        key_record.config = has_meta.then(|| snapshot.master_id.clone());
        key_record.alias = Some(if has_meta { snapshot.alias } else { Box::default() });
        let mut master = Self {
            told_id: if is_new { Box::default() } else { snapshot.master_id },
            key_record,
            key: key.clone(),
            description: None,
            records: BTreeMap::new(),
            runs: BTreeMap::new(),
            to_start: BTreeSet::new(),
            streams: Streams::default(),
            dials: Dials::default(),
            systems: BTreeMap::new(),
            waiting: BTreeMap::new(),
            timers: Timers::new(),
            outputs: VecDeque::new(),
            life: Life::Open,
            storing: None,
            backing_up: None,
            is_changed: false,
            next_id: 1,
            began: now,
            now,
            config,
        };
        master.event(if is_new { Event::KeyCreated { key } } else { Event::KeyLoaded { key } });
        for stored in snapshot.instances {
            master.restore(stored);
        }
        if is_new {
            master.changed();
        }
        master.arm(Timer::Reload, master.config.reload_interval);
        master.start_next();
        Ok(master)
    }

    // Commands

    /// Ends the master: streams are told and end, processes are stopped, the state is stored, and [`Event::Closed`] is
    /// last. All but storing takes at most [`Config::shutdown_timeout`]; a store that is under way then may take as long
    /// again, and so may the last one.
    pub fn close(&mut self, now: Instant) {
        self.see(now);
        if self.life != Life::Open {
            return;
        }
        self.life = Life::Closing { is_stored: false };
        self.to_start.clear();
        self.timers.set(Timer::NextStart, None);
        self.timers.set(Timer::Reload, None);
        self.announce_shutdown();
        let window = self.config.compat.shutdown_window();
        if window.is_zero() {
            self.end_streams();
        } else {
            self.arm(Timer::EndStreams, window);
        }
        let has_process = |(_, record): &(&InstanceId, &Record)| !matches!(record.process, Process::None);
        for id in self.records.iter().filter(has_process).map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.stop(&id, Then::Stay);
        }
        self.arm(Timer::Shutdown, self.config.shutdown_timeout);
        self.proceed_closing();
    }

    // Inputs

    /// Takes a request and names the exchange. Most are answered at once; what needs a dial, figures of the machine or the end
    /// of a process later, each within its time. A closing master answers 503, a closed one nothing.
    pub fn handle_request(&mut self, request: http::Request<Bytes>, now: Instant) -> ExchangeId {
        self.see(now);
        let id = ExchangeId(self.draw_id());
        if self.life == Life::Open {
            self.serve(id, &request);
        } else if self.life != Life::Closed {
            self.respond(id, answer::refusal(answer::Refusal::TooMany));
        }
        id
    }

    /// The client of an exchange went away.
    pub fn handle_cancel(&mut self, id: ExchangeId, now: Instant) {
        self.see(now);
        if self.dials.give_up(id).is_some() {
            self.timers.set(Timer::DialWait(id), None);
            self.waiting.remove(&id);
        } else if let Some(waits) = self.waiting.get_mut(&id) {
            *waits = false;
        }
        if self.streams.close(id) {
            self.event(Event::StreamEnded { id });
        }
    }

    /// A piece of a body has been written, so that the reader can take another one.
    pub fn handle_written(&mut self, id: ExchangeId, now: Instant) {
        self.see(now);
        self.streams.written(id);
        self.pump(id);
    }

    /// A process runs, or could not be started.
    pub fn handle_started(&mut self, run: RunId, outcome: Result<(), StartFailed>, now: Instant) {
        self.see(now);
        let Some(id) = self.runs.get(&run).cloned() else { return };
        if outcome.is_err() {
            return self.run_ended(run, End::Failed);
        }
        if matches!(self.records[&id].process, Process::Alive(_)) {
            self.set_status(&id, Status::Running);
            self.publish(EventKind::Update, &id);
        }
    }

    /// A process has written a line, given without its line break. What holds a report of figures is taken for that and goes
    /// no further; all else becomes a log event.
    pub fn handle_line(&mut self, run: RunId, line: &str, now: Instant) {
        self.see(now);
        let Some(id) = self.runs.get(&run).cloned() else { return };
        match CheckPoint::find(line) {
            Some(point) => self.report(&id, &point),
            None => self.log(&id, line),
        }
    }

    /// A process has ended, by itself or because it was asked to; `success` is an exit code of 0.
    pub fn handle_exited(&mut self, run: RunId, success: bool, now: Instant) {
        self.see(now);
        self.run_ended(run, if success { End::Clean } else { End::Failed });
    }

    /// A dial has come about, and how long it took; or it has not, and why, in words for people.
    pub fn handle_dialed(&mut self, id: DialId, outcome: Result<Duration, &str>, now: Instant) {
        self.see(now);
        self.dial_ended(id, outcome);
    }

    /// The machine's figures.
    pub fn handle_system(&mut self, id: SystemId, figures: SystemFigures, now: Instant) {
        self.see(now);
        self.timers.set(Timer::System(id), None);
        if let Some(exchange) = self.systems.remove(&id) {
            let info = self.info(figures);
            self.respond_later(exchange, answer::json(StatusCode::OK, &info));
        }
    }

    /// A snapshot was stored, or was not.
    pub fn handle_stored(&mut self, id: StoreId, outcome: Result<(), StoreFailed>, now: Instant) {
        self.see(now);
        let target = match Some(id) {
            id if id == self.storing => StoreTarget::State,
            id if id == self.backing_up => StoreTarget::Backup,
            _ => return,
        };
        if outcome.is_err() && self.life != Life::Closed {
            self.event(Event::StoreFailed { target });
        }
        if target == StoreTarget::Backup {
            self.backing_up = None;
            return;
        }
        self.storing = None;
        match (self.life, outcome) {
            (Life::Open, Err(_)) => {
                self.is_changed = true;
                self.arm(Timer::Store, self.config.store_retry);
            }
            (Life::Open, Ok(())) if self.is_changed => self.arm(Timer::Store, self.config.store_delay),
            (Life::Closing { is_stored: true }, _) => self.finish(),
            (Life::Closing { .. }, _) => self.proceed_closing(),
            (Life::Open | Life::Closed, _) => {}
        }
    }

    /// Lets time pass: whatever was due by `now` happens. Calling it early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.see(now);
        while let Some((at, timer)) = self.timers.pop_due(self.now) {
            self.fire(timer, at);
        }
    }

    // Outputs

    /// Returns the next piece of work; `None` means that the master waits for input or for its deadline.
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

    // Getters

    /// Returns where the master stands.
    #[must_use]
    pub fn state(&self) -> State {
        match self.life {
            Life::Open => State::Open,
            Life::Closing { .. } => State::Closing,
            Life::Closed => State::Closed,
        }
    }

    /// Whether nothing follows any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.life == Life::Closed
    }

    /// Returns the API key.
    #[must_use]
    pub fn key(&self) -> &Secret {
        &self.key
    }

    /// Returns an instance.
    #[must_use]
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.records.get(id).map(|record| &record.instance)
    }

    /// Returns all instances in the order of their ids, without the key record.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.records.values().map(|record| &record.instance)
    }

    /// Returns how many readers of events there are.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Returns the state as it would be stored now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let stored = |record: &Record| {
            let instance = &record.instance;
            let meta = instance.meta.clone().unwrap_or_default();
            let peer = meta.peer.unwrap_or_default();
            Stored {
                id: instance.id.clone(),
                url: instance.url.clone(),
                alias: instance.alias.clone().unwrap_or_default(),
                status: instance.status.clone(),
                restart: instance.restart == Some(true),
                mode: instance.mode.unwrap_or_default(),
                peer: StoredPeer {
                    sid: peer.sid.unwrap_or_default(),
                    kind: peer.kind.unwrap_or_default(),
                    alias: peer.alias.unwrap_or_default(),
                },
                tags: meta.tags.unwrap_or_default(),
                traffic: instance.traffic(),
            }
        };
        let alias = self.key_record.alias.as_deref().unwrap_or_default();
        let master_id = self.key_record.config.as_deref().unwrap_or_default();
        Snapshot::new(&self.key, master_id, alias, self.records.values().map(stored).collect())
    }

    // Timers

    pub(super) fn fire(&mut self, timer: Timer, at: Instant) {
        match timer {
            Timer::Dial(id) => self.dial_ended(id, Err("i/o timeout")),
            Timer::DialWait(exchange) => {
                if let Some(dial) = self.dials.give_up(exchange) {
                    self.answer_dial(dial, Err("too many requests"));
                }
            }
            Timer::System(id) => {
                let now = self.now;
                self.handle_system(id, SystemFigures::default(), now);
            }
            Timer::Stop(id) => self.stop_takes_long(&id),
            Timer::Pause(id) => {
                if self.records.get(&id).is_some_and(|record| matches!(record.process, Process::Pausing)) {
                    self.start(&id);
                }
            }
            Timer::Overdue(id) => {
                self.set_status(&id, Status::Error);
                self.publish(EventKind::Update, &id);
                if self.config.compat == Compat::V1_6 {
                    self.arm(Timer::Overdue(id), self.config.report_interval);
                }
            }
            Timer::NextStart => self.start_next(),
            Timer::EndStreams => self.end_streams(),
            Timer::Store => self.store(),
            Timer::Reload => self.reload(at),
            Timer::LastStore => self.finish(),
            Timer::Shutdown => self.close_late(),
        }
    }

    // Small things

    /// Returns an instance or the key record.
    pub(super) fn object(&self, id: &str) -> Option<&Instance> {
        if self.key_record.id.as_str() == id {
            return Some(&self.key_record);
        }
        self.instance(id)
    }

    pub(super) fn blank_instance(&self) -> Instance {
        blank(self.config.compat)
    }

    pub(super) fn uptime(&self) -> u64 {
        self.now.saturating_duration_since(self.began).as_secs()
    }

    pub(super) fn time(&self) -> EventTime {
        EventTime::from_unix_nanoseconds(self.unix_nanoseconds())
    }

    pub(super) fn unix_nanoseconds(&self) -> i128 {
        let since = self.now.saturating_duration_since(self.began).as_nanos();
        let since = i128::try_from(since).unwrap_or(i128::MAX);
        (i128::from(self.config.unix_milliseconds) * 1_000_000).saturating_add(since)
    }

    pub(super) fn respond(&mut self, id: ExchangeId, response: Response<Bytes>) {
        self.outputs.push_back(Output::Respond { id, response });
    }

    /// Answers an exchange that was left waiting, unless its client has gone.
    pub(super) fn respond_later(&mut self, id: ExchangeId, response: Response<Bytes>) {
        if self.waiting.remove(&id) == Some(true) {
            self.respond(id, response);
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(super) fn draw_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    pub(super) fn arm(&mut self, timer: Timer, wait: Duration) {
        self.timers.set(timer, self.now.checked_add(wait));
    }

    pub(super) fn see(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }
}

/// An object with the members that a level has, all of them empty.
pub(super) fn blank(compat: Compat) -> Instance {
    Instance {
        alias: Some(Box::default()),
        restart: Some(false),
        meta: compat.has_meta().then(empty_meta),
        mode: Some(0),
        ping: Some(0),
        pool: Some(0),
        tcps: Some(0),
        udps: Some(0),
        ..Instance::default()
    }
}

impl fmt::Debug for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Master")
            .field("state", &self.state())
            .field("instances", &self.records.len())
            .field("streams", &self.streams.len())
            .finish_non_exhaustive()
    }
}
