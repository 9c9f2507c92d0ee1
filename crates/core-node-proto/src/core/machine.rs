//! The machine itself: its constructor, inputs, timers and getters. What becomes of a call is in `serve`, of a transaction in
//! `settle`; commands are in `command`.

use super::enrichment::Enrichment;
use super::node::Node;
use super::online::Online;
use super::outside::Outside;
use super::serve::For;
use super::settle::Pending;
use super::step::Step;
use super::{
    Change, CodeDigest, Config, ConfigError, Directory, Event, ExchangeId, KeyDigest, LatestStats,
    NodeRecord, OnlineKey, Output, Published, RequestId, Sample, StoreId, Stored,
};
use crate::StoreFailed;
use crate::message::StoredRuntimeStatus;
use crate::timer::Timers;
use crate::value::{NodeId, NodeStatus, Revision, Timestamp};
use crate::wall_clock::WallClock;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use web_time::Instant;

/// Core's state machine.
///
/// # States
/// Core has none: it serves from its beginning to its end. A call that changes what is stored is answered when the change
/// is stored; when that fails it is answered as unavailable, and nothing of it remains. Records of nodes are stored whole:
/// where one that builds on a change that failed is under way by then, the record is stored once more.
///
/// | call | stored | reply at once |
/// | --- | --- | --- |
/// | registration | the node, and that its code is used | if refused |
/// | heartbeat, confirmation, error | the node | if refused |
/// | usage | rows, counters and the batch's digest | if refused, empty, or counted before |
/// | outbound usage, session events | counters, events | if refused, or nothing of it is known |
/// | online users | addresses | if refused, or without addresses |
/// | statistics, configuration | – | always |
///
/// The driver makes transactions in the order of their outputs. Core takes their outcomes in any order, and acts on them in the order
/// of the outputs. Each outcome must come, or what comes after it waits for ever.
///
/// # Methods
/// - constructor: [`new`](Self::new)
/// - commands: [`publish`](Self::publish), [`add_code`](Self::add_code), [`remove_code`](Self::remove_code),
///   [`set_domain`](Self::set_domain), [`remove_node`](Self::remove_node), [`directory_mut`](Self::directory_mut),
///   [`fetch_runtime_status`](Self::fetch_runtime_status), [`start_enrichment`](Self::start_enrichment),
///   [`set_wall_clock`](Self::set_wall_clock)
/// - inputs: [`handle_call`](Self::handle_call), [`handle_cancel`](Self::handle_cancel),
///   [`handle_stored`](Self::handle_stored), [`handle_addresses`](Self::handle_addresses),
///   [`handle_response`](Self::handle_response), [`handle_failure`](Self::handle_failure), [`handle_timeout`](Self::handle_timeout)
/// - outputs: [`poll_output`](Self::poll_output), [`poll_timeout`](Self::poll_timeout)
/// - getters: the rest
///
/// After any input or command drain [`poll_output`](Self::poll_output), then wait for the next input, command or the
/// deadline. Input for an exchange or a transaction that is no longer known is ignored. An `Instant` earlier than one seen
/// before counts as the latest seen.
///
/// # Example
/// A node registers and says that it is alive. All that is stored goes into [`Tables`](super::Tables).
/// ```
/// use core_node_proto::call::{Body, Call, Credential, Incoming, Reply};
/// use core_node_proto::core::{Config, Core, Entropy, Output, Stored, Tables};
/// use core_node_proto::message::{Heartbeat, Register};
/// use core_node_proto::{Instant, Secret};
///
/// let now = Instant::now();
/// let wall_clock = "2030-01-02T03:04:05.000Z".parse()?;
/// let mut tables = Tables::default();
/// let mut core = Core::new(Config::new(Entropy::new([7; 32])), tables.stored(), wall_clock, now)?;
///
/// // What a driver does after each input and command.
/// let mut drain = |core: &mut Core| {
///     let mut replies = Vec::new();
///     while let Some(output) = core.poll_output() {
///         match output {
///             Output::Store { id, changes } => {
///                 tables.apply(&changes);
///                 core.handle_stored(id, Ok(()), now);
///             }
///             Output::Reply { id, outcome } => replies.push((id, outcome)),
///             _ => {}
///         }
///     }
///     replies
/// };
///
/// core.add_code(&Secret::new("CODE-ONE"), None, now)?;
/// drain(&mut core);
///
/// let register = Call::Register(Register {
///     code: Secret::new("CODE-ONE"),
///     name: "fra-1".into(),
///     ip: "203.0.113.7".parse()?,
///     port: 3100.try_into()?,
///     region: "eu-central".into(),
///     domain: None,
/// });
/// let incoming = |credential, call: Call| Incoming { method: call.method(), credential, body: Body::Call(call) };
/// let exchange = core.handle_call(incoming(Credential::Absent, register), now);
/// let replies = drain(&mut core);
/// let [(id, Ok(Reply::Registered(registered)))] = &*replies else { panic!() };
/// assert_eq!(*id, exchange);
///
/// let key = Credential::Key(registered.auth_key.clone());
/// core.handle_call(incoming(key, Call::Heartbeat(Heartbeat::default())), now);
/// let replies = drain(&mut core);
/// let [(_, Ok(Reply::Heartbeat(reply)))] = &*replies else { panic!() };
/// assert!(reply.ok && reply.need_sync);
/// assert_eq!(tables.nodes[&registered.node_id].last_seen_at, Some(wall_clock));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Core {
    pub(super) config: Config,
    pub(super) directory: Directory,
    pub(super) published: Published,
    /// The greatest revision that was given to a configuration, stored or not.
    pub(super) issued: Revision,
    pub(super) codes: HashMap<CodeDigest, Option<Timestamp>>,
    /// Codes that a registration uses right now.
    pub(super) reserved: HashSet<CodeDigest>,
    pub(super) keys: HashMap<KeyDigest, NodeId>,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    /// How many registrations are being stored.
    pub(super) registering: usize,
    pub(super) last_node: u32,
    pub(super) online: Online,
    pub(super) enrichment: Option<Enrichment>,
    pub(super) outside: Outside,
    pub(super) skipped: u64,
    pub(super) replays: u64,
    /// Transactions without an outcome, or with one that has to wait for that of an earlier one.
    pub(super) pending: VecDeque<Pending>,
    /// Exchanges that are answered later.
    pub(super) waiting: BTreeSet<ExchangeId>,
    pub(super) timers: Timers<Timer>,
    pub(super) outputs: VecDeque<Output>,
    pub(super) next_exchange: u64,
    pub(super) next_store: u64,
    pub(super) wall_clock: WallClock,
    pub(super) now: Instant,
}

/// Reasons to wake up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A node may have been silent for too long.
    Silent(NodeId),
    /// The database may still have a change of a node that was refused.
    Restore(NodeId),
    /// Some who were online may not be any more.
    Sweep,
    /// A node does not answer.
    Fetch(RequestId),
}

/// Wall-clock time counts in milliseconds, so that "longer than" begins one later.
pub(super) const TICK: Duration = Duration::from_millis(1);

impl Core {
    /// Starts with what was stored before, which may be nothing. Nodes that were online have
    /// [`Config::offline_after`] from now on to be heard of.
    ///
    /// # Errors
    /// A setting cannot be, or two stored nodes have the same id or key.
    pub fn new(
        config: Config,
        stored: Stored,
        wall_clock: Timestamp,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let enrichment = config.enrichment.clone();
        let enrichment = enrichment.map(|config| Enrichment::new(config, wall_clock, now)).transpose()?;
        let mut core = Self {
            config,
            directory: stored.directory,
            issued: stored.published.greatest(),
            published: stored.published,
            codes: stored.codes.into_iter().collect(),
            reserved: HashSet::new(),
            keys: HashMap::new(),
            nodes: BTreeMap::new(),
            registering: 0,
            last_node: stored.last_node,
            online: Online::default(),
            enrichment,
            outside: Outside::default(),
            skipped: 0,
            replays: 0,
            pending: VecDeque::new(),
            waiting: BTreeSet::new(),
            timers: Timers::new(),
            outputs: VecDeque::new(),
            next_exchange: 0,
            next_store: 0,
            wall_clock: WallClock::new(wall_clock, now),
            now,
        };
        for record in stored.nodes {
            core.restore(record)?;
        }
        let mut batches = stored.batches;
        batches.sort_by_key(|batch| batch.at);
        for batch in batches {
            if let Some(node) = core.nodes.get_mut(&batch.node) {
                node.batches.remember(batch.batch, batch.at);
            }
        }
        Ok(core)
    }

    fn restore(&mut self, record: Arc<NodeRecord>) -> Result<(), ConfigError> {
        let id = record.id.clone();
        let is_online = record.node_status == NodeStatus::ONLINE;
        self.last_node = self.last_node.max(id.number().unwrap_or(0));
        if self.keys.insert(record.key, id.clone()).is_some() {
            return Err(ConfigError::SameKey);
        }
        if self.nodes.insert(id.clone(), Node::new(record)).is_some() {
            return Err(ConfigError::SameId);
        }
        if is_online {
            self.await_sign_of_life(&id, self.now);
        }
        Ok(())
    }

    /// Sets the wall clock anew; between two times it runs on with `now`.
    pub fn set_wall_clock(&mut self, wall_clock: Timestamp, now: Instant) {
        self.advance(now);
        self.wall_clock.set(wall_clock, self.now);
        self.enrichment.iter_mut().for_each(|enrichment| enrichment.reschedule(wall_clock, self.now));
    }

    /// The node's side of an exchange went away: no reply is wanted. What it asked for is stored all the same.
    pub fn handle_cancel(&mut self, id: ExchangeId, now: Instant) {
        self.advance(now);
        self.waiting.remove(&id);
    }

    /// A transaction ended. Each one must, or those after it wait for ever.
    pub fn handle_stored(&mut self, id: StoreId, outcome: Result<(), StoreFailed>, now: Instant) {
        self.advance(now);
        self.settle(id, outcome);
    }

    /// Lets time pass: whatever was due by `now` happens. Calling it early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        while let Some((_, timer)) = self.timers.pop_due(self.now) {
            match timer {
                Timer::Silent(node) => self.check_silence(&node),
                Timer::Restore(node) => self.restore_record(&node),
                Timer::Sweep => self.sweep(),
                Timer::Fetch(request) => self.give_up(request),
            }
        }
        self.wake_enrichment();
    }

    /// Returns the next piece of work; `None` means that Core waits for input or for its deadline.
    #[must_use = "an output that is not carried out is lost"]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is next due; `None` if nothing is. Ask again after every
    /// drain.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let enrichment = self.enrichment.as_ref().and_then(Enrichment::next_deadline);
        self.timers.next().into_iter().chain(enrichment).min()
    }

    /// Returns the nodes as they are stored, by rising id.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeRecord> {
        self.nodes.values().map(|node| &*node.record)
    }

    /// Returns a node as it is stored.
    #[must_use]
    pub fn node(&self, id: &NodeId) -> Option<&NodeRecord> {
        self.nodes.get(id).map(|node| &*node.record)
    }

    /// Returns the latest statistics of a node since the start of Core.
    #[must_use]
    pub fn stats(&self, id: &NodeId) -> Option<&LatestStats> {
        self.nodes.get(id)?.stats.latest.as_ref().map(|(latest, _)| latest)
    }

    /// Returns the same with how old it is at `now`, as a body for administrators.
    #[must_use]
    pub fn runtime_status(&self, id: &NodeId, now: Instant) -> Option<StoredRuntimeStatus> {
        let (latest, received) = self.nodes.get(id)?.stats.latest.as_ref()?;
        let age = now.max(self.now).saturating_duration_since(*received);
        Some(StoredRuntimeStatus { received_at: latest.received_at, age, stats: (*latest.stats).clone() })
    }

    /// Returns the samples of a node's statistics that are kept, oldest first.
    pub fn history(&self, id: &NodeId) -> impl Iterator<Item = &Sample> + use<'_> {
        self.nodes.get(id).into_iter().flat_map(|node| &node.stats.history)
    }

    /// Returns the settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the users, subscriptions, inbounds and outbounds that count as known.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Returns what is published.
    #[must_use]
    pub fn published(&self) -> &Published {
        &self.published
    }

    /// Returns who is online at `now`, sorted, each with how much longer it is without another report.
    #[must_use]
    pub fn online(&self, now: Instant) -> Vec<(OnlineKey, Duration)> {
        self.online.keys(now.max(self.now), self.config.online_lifetime)
    }

    /// Returns how many parts of reports were skipped since the start.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Returns how many batches of usage were acknowledged since the start that had been counted before.
    #[must_use]
    pub fn replays(&self) -> u64 {
        self.replays
    }

    /// Returns how many exchanges wait for their reply.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Returns how many transactions have no outcome, or wait for that of an earlier one.
    #[must_use]
    pub fn storing(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Returns the time of day.
    pub(super) fn time_of_day(&self) -> Timestamp {
        self.wall_clock.at(self.now)
    }

    pub(super) fn push(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Begins a transaction; the caller has checked that there is room for it.
    pub(super) fn store(&mut self, changes: Vec<Change>, pending: Pending) -> StoreId {
        let id = StoreId(self.next_store);
        self.next_store += 1;
        self.pending.push_back(pending);
        self.outputs.push_back(Output::Store { id, changes });
        id
    }

    /// Whether another call or command may wait to be stored.
    pub(super) fn has_room(&self) -> bool {
        self.pending.len().max(self.waiting.len()) < self.config.max_pending
    }

    /// From `since` on a node that is online has some time until its next sign of life.
    pub(super) fn await_sign_of_life(&mut self, id: &NodeId, since: Instant) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let wait = self.config.offline_after.map(|wait| wait.saturating_add(TICK));
        node.silent_at = wait.and_then(|wait| since.checked_add(wait)).max(node.silent_at);
        let timer = Timer::Silent(id.clone());
        // A deadline that is there stays: it is moved when it is due.
        if !self.timers.is_set(&timer) {
            self.timers.set(timer, node.silent_at);
        }
    }

    fn check_silence(&mut self, id: &NodeId) {
        let Some(node) = self.nodes.get(id) else { return };
        if node.silent_at > Some(self.now) {
            self.timers.set(Timer::Silent(id.clone()), node.silent_at);
        } else if node.latest().node_status == NodeStatus::ONLINE && !node.is_leaving {
            if node.is_changing() || !self.has_room() {
                self.retry_silence(id);
            } else {
                self.store_step(id, Step::Silent, For::Core);
            }
        }
    }

    /// That a node is silent could not be stored, or something of it is being stored, perhaps a sign of life.
    pub(super) fn retry_silence(&mut self, id: &NodeId) {
        let at = self.now.checked_add(self.config.store_retry);
        self.timers.set(Timer::Silent(id.clone()), at);
    }

    fn sweep(&mut self) {
        self.online.sweep(self.now, self.config.online_lifetime, self.config.online_gap);
        if !self.online.is_empty() {
            self.await_sweep();
        }
    }

    /// Sees to it that those who are gone are forgotten.
    pub(super) fn await_sweep(&mut self) {
        if !self.timers.is_set(&Timer::Sweep) {
            let longest = self.config.online_lifetime.max(self.config.online_gap).saturating_add(TICK);
            self.timers.set(Timer::Sweep, self.now.checked_add(longest));
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("nodes", &self.nodes.len())
            .field("codes", &self.codes.len())
            .field("published", &self.published.greatest())
            .field("storing", &self.pending.len())
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}
