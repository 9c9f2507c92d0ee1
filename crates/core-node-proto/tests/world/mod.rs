//! An agent, Core, the disks of both and the link between them, on a virtual clock. Time jumps from one thing that is due to
//! the next, so that a wake-up that was not announced shows as a hang. Everything comes from one seed.
#![allow(clippy::unwrap_used, reason = "a world that cannot be set up fails its test")]
#![allow(dead_code, reason = "each test uses its part")]

mod faults;
mod proxies;
mod travel;

pub(crate) use faults::Faults;
pub(crate) use proxies::{OUTBOUND, Proxies, USERS};

use core_node_proto::agent::{self, Agent, ApplyFailed, Counters, Restored, Sampling, Seen};
use core_node_proto::call::{Failure, FailureKind, Link, Reply};
use core_node_proto::config::NodeConfig;
use core_node_proto::core::{self, Audience, Change, ConfigParts, Core, Entropy, ExchangeId, Tables};
use core_node_proto::message::NodeStats;
use core_node_proto::value::{NodeId, NodeProtocolId, Revision, SyncStatus, Timestamp, UserId};
use core_node_proto::{Instant, Secret, StoreFailed};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

pub(crate) const INBOUND: i64 = 6;

/// Something under way.
enum Due {
    /// A call reaches Core. Without an origin nobody waits for the reply.
    Arrive {
        call: Box<travel::Wire>,
        origin: Option<Origin>,
    },
    /// An outcome reaches the agent.
    Return {
        origin: Origin,
        outcome: Result<Reply, Failure>,
    },
    /// The agent's disk has written, or not.
    AgentStored {
        life: u32,
        id: agent::StoreId,
        snapshot: Vec<u8>,
        is_written: bool,
        is_known: bool,
    },
    CoreStored {
        life: u32,
        id: core::StoreId,
        changes: Vec<Change>,
        is_written: bool,
    },
    Applied {
        life: u32,
        id: agent::ApplyId,
        config: std::sync::Arc<NodeConfig>,
        is_good: bool,
    },
    Sampled {
        life: u32,
        sampling: Sampling,
    },
    StartAgent,
    StartCore,
}

/// Who waits for a reply.
#[derive(Clone, Copy)]
struct Origin {
    life: u32,
    id: agent::CallId,
    link: Link,
}

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) faults: Faults,
    pub(crate) now: Instant,
    start: Instant,
    random: fastrand::Rng,
    pub(crate) agent: Option<Agent>,
    agent_life: u32,
    /// What the agent has stored.
    pub(crate) disk: Option<Vec<u8>>,
    pub(crate) core: Option<Core>,
    core_life: u32,
    /// What Core has stored.
    pub(crate) tables: Tables,
    pub(crate) proxies: Proxies,
    codes: u32,
    waiting: BTreeMap<ExchangeId, (Origin, core_node_proto::Method)>,
    due: BTreeMap<(Instant, u64), Due>,
    sequence: u64,
    pub(crate) events: VecDeque<agent::Event>,
    /// What the agent has given back of outbound traffic, by number: after a crash it is told again.
    returned: BTreeMap<u64, u64>,
    pub(crate) core_events: VecDeque<core::Event>,
    /// The calls that the agent made, in order.
    pub(crate) calls: Vec<(Link, core_node_proto::Method)>,
    pub(crate) configure: fn(&mut agent::Config, &mut core::Config),
}

impl World {
    /// Both roles are there, the agent with a code that Core knows.
    pub(crate) fn new(
        seed: u64,
        faults: Faults,
        configure: fn(&mut agent::Config, &mut core::Config),
    ) -> Self {
        let now = testkit::epoch();
        let mut world = Self {
            seed,
            faults,
            now,
            start: now,
            random: fastrand::Rng::with_seed(seed),
            agent: None,
            agent_life: 0,
            disk: None,
            core: None,
            core_life: 0,
            tables: Tables::default(),
            proxies: Proxies::default(),
            codes: 0,
            waiting: BTreeMap::new(),
            due: BTreeMap::new(),
            sequence: 0,
            events: VecDeque::new(),
            returned: BTreeMap::new(),
            core_events: VecDeque::new(),
            calls: Vec::new(),
            configure,
        };
        for user in USERS {
            world.tables.directory.add_user(UserId::new(user).unwrap());
        }
        world.start_core();
        world.add_code();
        world.publish();
        world.start_agent();
        world.drain();
        world
    }

    pub(crate) fn wall_clock(&self) -> Timestamp {
        let begin: Timestamp = "2030-01-02T03:04:05.000Z".parse().unwrap();
        begin.saturating_add_milliseconds(self.now.duration_since(self.start).as_millis() as u64)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now.duration_since(self.start)
    }

    fn code(&self) -> Secret {
        Secret::new(format!("CODE-{}", self.codes))
    }

    /// Makes another code, known to both sides.
    fn add_code(&mut self) {
        self.codes += 1;
        let (code, now) = (self.code(), self.now);
        if let Some(core) = &mut self.core {
            core.add_code(&code, None, now).unwrap();
        } else {
            let code = core::CodeDigest::of(&code);
            self.tables.apply(&[Change::CodeAdded { code, expires: None }]);
        }
    }

    /// The node becomes another one, by another code.
    pub(crate) fn register_anew(&mut self) {
        self.add_code();
        let (code, now) = (self.code(), self.now);
        self.agent.as_mut().unwrap().register(code, now).unwrap();
        self.drain();
    }

    /// Publishes another configuration, with what the proxies are to serve.
    pub(crate) fn publish(&mut self) {
        let parts = proxies::config(&mut self.random);
        let now = self.now;
        if let Some(core) = &mut self.core {
            core.publish(ConfigParts::from(&parts), Audience::All, now).unwrap();
        }
        self.drain();
    }

    pub(crate) fn start_core(&mut self) {
        if self.core.is_some() {
            return;
        }
        self.core_life += 1;
        let entropy = std::array::from_fn(|_| self.random.u8(..));
        let mut config = core::Config::new(Entropy::new(entropy));
        let mut unused = agent_config(0);
        (self.configure)(&mut unused, &mut config);
        let core = Core::new(config, self.tables.stored(), self.wall_clock(), self.now).unwrap();
        self.core = Some(core);
    }

    pub(crate) fn start_agent(&mut self) {
        if self.agent.is_some() {
            return;
        }
        self.agent_life += 1;
        let mut config = agent_config(self.random.u64(..));
        config.code = Some(self.code());
        let mut unused = core::Config::new(Entropy::new([0; 32]));
        (self.configure)(&mut config, &mut unused);
        let restored = Restored::from_json(self.disk.as_deref());
        assert_ne!(restored, Restored::Broken, "what was stored can be read");
        self.agent = Some(Agent::new(config, restored, self.wall_clock(), self.now).unwrap());
    }

    /// The agent's process ends at once; what was under way on its disk ends either way.
    pub(crate) fn crash_agent(&mut self) {
        self.agent = None;
        self.agent_life += 1;
    }

    /// Core's process ends at once, and with it the connections of those who wait.
    pub(crate) fn crash_core(&mut self) {
        self.core = None;
        self.core_life += 1;
        for (origin, _) in std::mem::take(&mut self.waiting).into_values() {
            let lost =
                Err(Failure::new(core_node_proto::call::Delivery::Perhaps, FailureKind::ConnectionLost));
            self.give_back(origin, lost);
        }
    }

    fn plan(&mut self, after: Duration, due: Due) {
        self.sequence += 1;
        self.due.insert((self.now + after, self.sequence), due);
    }

    fn give_back(&mut self, origin: Origin, outcome: Result<Reply, Failure>) {
        let after = self.faults.delay(&mut self.random);
        self.plan(after, Due::Return { origin, outcome });
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let is_over = |world: &Self| world.next().is_none_or(|next| next > end);
        self.run_while(|world| !is_over(world));
        self.now = end;
    }

    /// Lets time pass until something is so, for at most that long; says whether it became so.
    pub(crate) fn run_until(&mut self, limit: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        self.run_while(|world| !is_so(world) && world.next().is_some_and(|next| next <= end));
        is_so(self)
    }

    fn run_while(&mut self, goes_on: impl Fn(&Self) -> bool) {
        let (mut at, mut steps) = (self.now, 0);
        while goes_on(self) {
            let next = self.next().unwrap_or(self.now).max(self.now);
            steps = if next == at { steps + 1 } else { 0 };
            assert!(steps < 10_000, "seed {}: it spins", self.seed);
            (at, self.now) = (next, next);
            self.step();
        }
    }

    fn next(&self) -> Option<Instant> {
        let agent = self.agent.as_ref().and_then(Agent::poll_timeout);
        let core = self.core.as_ref().and_then(Core::poll_timeout);
        let due = self.due.first_key_value().map(|((at, _), _)| *at);
        [agent, core, due].into_iter().flatten().min()
    }

    fn step(&mut self) {
        let now = self.now;
        if let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now) {
            let due = entry.remove();
            self.happen(due);
        } else {
            for_due(&mut self.agent, Agent::poll_timeout, now, |agent| agent.handle_timeout(now));
            for_due(&mut self.core, Core::poll_timeout, now, |core| core.handle_timeout(now));
        }
        self.drain();
    }

    fn happen(&mut self, due: Due) {
        let now = self.now;
        match due {
            Due::Arrive { call, origin } => self.arrive(&call, origin),
            Due::Return { origin, outcome } => {
                if let Some(agent) = self.living(origin.life) {
                    match outcome {
                        Ok(reply) => agent.handle_reply(origin.id, reply, now),
                        Err(failure) => agent.handle_failure(origin.id, failure, now),
                    }
                }
            }
            Due::AgentStored { life, id, snapshot, is_written, is_known } => {
                if is_written {
                    self.disk = Some(snapshot);
                }
                if let Some(agent) = self.living(life) {
                    let result = if is_written && is_known { Ok(()) } else { Err(StoreFailed) };
                    agent.handle_stored(id, result, now);
                }
            }
            Due::CoreStored { life, id, changes, is_written } => {
                // A transaction that was sent may be committed after its sender's end, but not after its successor began.
                let is_there = life == self.core_life || self.core.is_none();
                if is_written && is_there {
                    self.tables.apply(&changes);
                }
                if let Some(core) = self.core.as_mut().filter(|_| life == self.core_life) {
                    core.handle_stored(id, if is_written { Ok(()) } else { Err(StoreFailed) }, now);
                }
            }
            Due::Applied { life, id, config, is_good } => {
                if let Some(agent) = self.agent.as_mut().filter(|_| life == self.agent_life) {
                    if is_good {
                        self.proxies.serve(&config);
                    }
                    let failed = ApplyFailed { message: "port in use".into(), code: None, details: None };
                    agent.handle_applied(id, if is_good { Ok(()) } else { Err(failed) }, now);
                }
            }
            Due::Sampled { life, sampling } => self.sampled(life, sampling),
            Due::StartAgent => self.start_agent(),
            Due::StartCore => self.start_core(),
        }
    }

    fn living(&mut self, life: u32) -> Option<&mut Agent> {
        self.agent.as_mut().filter(|_| life == self.agent_life)
    }

    fn sampled(&mut self, life: u32, sampling: Sampling) {
        let (now, elapsed) = (self.now, self.elapsed());
        let Some(agent) = self.agent.as_mut().filter(|_| life == self.agent_life) else { return };
        match sampling {
            Sampling::Counters => {
                let counters = Counters { proxies: vec![self.proxies.sample(elapsed, &mut self.random)] };
                agent.handle_counters(counters, now);
            }
            Sampling::Stats => agent.handle_stats(NodeStats::default(), now),
            Sampling::Online => {
                let names = self.proxies.names();
                let ip = Some("192.0.2.44".parse().unwrap());
                let seen: Vec<_> =
                    names.map(|name| Seen { name: name.into(), ip, last_seen: None }).collect();
                agent.handle_online(&seen, now);
            }
        }
    }

    /// Carries out what both machines ask for.
    fn drain(&mut self) {
        loop {
            if let Some(output) = self.agent.as_mut().and_then(Agent::poll_output) {
                self.agent_output(output);
            } else if let Some(output) = self.core.as_mut().and_then(Core::poll_output) {
                self.core_output(output);
            } else {
                return;
            }
        }
    }

    fn agent_output(&mut self, output: agent::Output) {
        let life = self.agent_life;
        match output {
            agent::Output::Call { id, link, call, key, timeout: _ } => {
                self.calls.push((link, call.method()));
                self.send(Origin { life, id, link }, &call, key.as_ref());
            }
            agent::Output::Cancel(id) => {
                self.waiting.retain(|_, (origin, _)| (origin.life, origin.id) != (life, id));
            }
            agent::Output::Store { id, snapshot } => {
                let is_written = !self.faults.happens(self.faults.store, &mut self.random);
                let is_known = !self.faults.happens(self.faults.store, &mut self.random);
                let after = self.faults.disk(&mut self.random);
                let snapshot = snapshot.to_json();
                self.plan(after, Due::AgentStored { life, id, snapshot, is_written, is_known });
            }
            agent::Output::Sample(sampling) => {
                let after = self.faults.disk(&mut self.random);
                if !self.faults.happens(self.faults.store, &mut self.random) {
                    self.plan(after, Due::Sampled { life, sampling });
                }
            }
            agent::Output::Apply { id, config } => {
                let is_good = !self.faults.happens(self.faults.apply, &mut self.random);
                let after = self.faults.disk(&mut self.random);
                self.plan(after, Due::Applied { life, id, config, is_good });
            }
            agent::Output::Event(event) => {
                if matches!(event, agent::Event::RegistrationRefused { .. }) {
                    self.register_anew();
                }
                if let agent::Event::Registered { node_id } = &event {
                    self.own(node_id.clone());
                }
                if let agent::Event::Returned(returned) = &event {
                    self.note(returned);
                }
                self.events.push_back(event);
            }
        }
    }

    /// The inbound and the outbound are those of this node, as its administrator knows.
    fn own(&mut self, node: NodeId) {
        let core = self.core.as_mut().map(Core::directory_mut);
        for directory in core.into_iter().chain([&mut self.tables.directory]) {
            directory.add_inbound(NodeProtocolId::new(INBOUND).unwrap(), node.clone());
            directory.add_outbound(node.clone(), OUTBOUND);
        }
    }

    fn note(&mut self, returned: &agent::Returned) {
        if let agent::ReturnedContent::Outbound(items) = &returned.content {
            let bytes = items.iter().map(|item| item.bytes_up.get() + item.bytes_down.get()).sum();
            self.returned.insert(returned.number, bytes);
        }
    }

    fn core_output(&mut self, output: core::Output) {
        match output {
            core::Output::Reply { id, outcome } => self.answer(id, &outcome),
            core::Output::Store { id, changes } => {
                let is_written = !self.faults.happens(self.faults.store, &mut self.random);
                let life = self.core_life;
                // Transactions are committed in order: none overtakes another one of the same life.
                let after = self.faults.commit;
                self.plan(after, Due::CoreStored { life, id, changes, is_written });
            }
            core::Output::SetOnline { .. } => {}
            core::Output::Event(event) => self.core_events.push_back(event),
            core::Output::Query { .. } | core::Output::Request { .. } | core::Output::Cancel(_) => {}
        }
    }

    /// Returns the node that the agent is, as Core has it stored.
    pub(crate) fn node(&self) -> Option<&core::NodeRecord> {
        let id: &NodeId = self.agent.as_ref()?.node_id()?;
        self.tables.nodes.get(id).map(|record| &**record)
    }

    /// Returns the revision that is published.
    pub(crate) fn published(&self) -> Revision {
        self.tables.published.common().revision()
    }

    /// Whether the agent runs what is published, and Core knows.
    pub(crate) fn is_synced(&self) -> bool {
        let node = self.node();
        let is_known = node.is_some_and(|node| node.sync_status == SyncStatus::SYNCED);
        is_known && self.agent.as_ref().and_then(Agent::revision) == Some(self.published())
    }

    /// Whether the agent runs what is published and has said so, even if something else has arrived since.
    pub(crate) fn is_confirmed(&self) -> bool {
        let is_known = self.node().is_some_and(|node| node.sync_status != SyncStatus::PENDING);
        is_known && self.agent.as_ref().and_then(Agent::revision) == Some(self.published())
    }

    /// Returns all bytes of users that Core has stored.
    pub(crate) fn stored(&self) -> agent::Traffic {
        self.tables.usage.values().fold(agent::Traffic::default(), |sum, traffic| {
            sum.plus(agent::Traffic { up: traffic.bytes_up.get(), down: traffic.bytes_down.get() })
        })
    }

    /// Whether of the outbound traffic nothing is stored twice, and nothing is missing that was not given back. A link that
    /// delivers calls twice makes Core count twice: nothing in them tells.
    pub(crate) fn is_outbound_right(&self) -> bool {
        let total = |traffic: agent::Traffic| traffic.up + traffic.down;
        let stored: u64 =
            self.tables.outbounds.values().map(|sum| sum.bytes_up.get() + sum.bytes_down.get()).sum();
        let (shown, returned) = (total(self.proxies.shown_outbound()), self.returned.values().sum::<u64>());
        stored <= shown && shown <= stored + returned
    }

    /// Whether everything that the proxies have shown of users is stored at Core.
    pub(crate) fn is_settled(&self) -> bool {
        self.stored() == self.proxies.shown()
            && self.agent.as_ref().is_some_and(|agent| agent.waiting_batches() == 0)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("elapsed", &self.elapsed())
            .field("counted", &self.proxies.shown())
            .field("stored", &self.stored())
            .field("published", &self.published())
            .field("node", &self.node())
            .field("state", &self.agent.as_ref().map(Agent::state))
            .field("accumulated", &self.agent.as_ref().map(Agent::accumulated))
            .field("waiting", &self.agent.as_ref().map(Agent::waiting))
            .finish_non_exhaustive()
    }
}

fn for_due<M>(
    machine: &mut Option<M>,
    deadline: impl Fn(&M) -> Option<Instant>,
    now: Instant,
    wake: impl FnOnce(&mut M),
) {
    if let Some(machine) = machine.as_mut().filter(|machine| deadline(machine).is_some_and(|at| at <= now)) {
        wake(machine);
        let next = deadline(machine);
        assert!(next.is_none_or(|at| at > now), "no deadline is left behind");
    }
}

fn agent_config(seed: u64) -> agent::Config {
    let port = NonZeroU16::new(3100).unwrap();
    let mut config = agent::Config::new("fra-1", "203.0.113.7".parse().unwrap(), port, "eu-central");
    config.seed = seed;
    config
}
