//! An agent among a Core, a proxy and a disk that do whatever they are told, and the books about its bytes.

#![allow(dead_code, reason = "each user uses its own part")]

use core_node_proto::agent::{
    Agent, ApplyFailed, ApplyId, CallId, Config, Counters, Event, Output, Policy, Proxy, ProxyCounters,
    Restored, ReturnedContent, Seen, Snapshot, StoreId, Traffic,
};
use core_node_proto::call::{Call, ConfigReply, Delivery, Failure, FailureKind, GrpcCode, Link, Reply};
use core_node_proto::config::NodeConfig;
use core_node_proto::message::{
    Acknowledgement, HeartbeatReply, NodeError, NodeStats, OutboundItem, Registered, SessionEvent, UsageEntry,
};
use core_node_proto::value::{NodeId, SessionEventType, Timestamp, UserId, VpnProtocol};
use core_node_proto::{Method, Secret, StoreFailed};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use testkit::rules::{check_after_step, check_closed};
use testkit::secrets::{assert_debug_hides, marked};
use testkit::{Instant, Machine, epoch};

/// The last one is none of ours. Core refuses whatever the one before it is in.
const NAMES: [&str; 5] = ["u12.l3.s45.i6", "u12.l3.s45.i7", "u14.l3.s99.i6", "u13.l3.s46.i6", "somebody"];
const POISON: u32 = 13;
const START: i64 = 1_893_553_442_000;
const DAY: u64 = 24 * 3_600;

/// What happens next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Answer(usize, Answer),
    Store(bool),
    Produce(usize, u64),
    Sample,
    Applied(bool),
    Publish(bool),
    Wait(u64),
    /// Time that was seen before.
    Back(u64),
    WallClock(i64),
    RestartProxy,
    Crash,
    Close,
    Report(usize),
}

/// What Core says to a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Ok,
    NotOk,
    NotApplied,
    /// It is lost on the way to Core, or on the way back.
    Lost(bool),
    Unavailable,
    Auth,
    Rejected,
    TooLarge,
    Missing,
    Unusable,
}

pub(crate) const ANSWERS: [Answer; 11] = [
    Answer::Ok,
    Answer::NotOk,
    Answer::NotApplied,
    Answer::Lost(true),
    Answer::Lost(false),
    Answer::Unavailable,
    Answer::Auth,
    Answer::Rejected,
    Answer::TooLarge,
    Answer::Missing,
    Answer::Unusable,
];

struct TestAgent(Agent);

impl Machine for TestAgent {
    type Output = Output;
    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }
    fn poll_output(&mut self) -> Option<Output> {
        self.0.poll_output()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }
}

pub(crate) struct World {
    config: Config,
    agent: TestAgent,
    now: Instant,
    wall: (i64, Instant),
    is_clock_true: bool,
    stored: Snapshot,
    store: Option<(StoreId, Snapshot)>,
    /// Whether the last store has failed: what it was for waits, and may be no change any more.
    has_store_failed: bool,
    /// With when they were sent, which is when Core takes them.
    calls: BTreeMap<CallId, (Link, Call, Instant)>,
    ids: BTreeSet<String>,
    apply: Option<(ApplyId, Arc<NodeConfig>)>,
    /// What an application has been asked for a sample of, and has not answered.
    is_sample_wanted: bool,
    process: (i64, BTreeMap<Box<str>, Traffic>),
    produced: u64,
    produced_outbound: u64,
    /// The entries of batches that may be Core's: sent, or marked as such when the agent began.
    sent: BTreeSet<String>,
    core: Core,
}

/// A Core that knows a replay.
#[derive(Default)]
struct Core {
    revision: u32,
    confirmed: Option<u32>,
    /// Batches by what is in them, with when they were taken first.
    taken: BTreeMap<Vec<UsageEntry>, Instant>,
    outbound: u64,
    handed: BTreeMap<u64, ReturnedContent>,
}

/// Settings with small limits, so that they are reached.
pub(crate) fn config(policy: Policy) -> Config {
    let mut config = Config::new("n", "192.0.2.7".parse().unwrap(), 3100.try_into().unwrap(), "r");
    config.code = Some(Secret::new(marked(9)));
    config.usage_policy = policy;
    config.usage_spread = Duration::from_secs(20);
    // Fewer calls of the kinds that come all the time.
    (config.stats_interval, config.online_interval) = (Duration::from_secs(40), Duration::from_secs(45));
    config.heartbeat_interval = Duration::from_secs(20);
    (config.batch_entries, config.max_batches, config.max_sessions) = (2, 4, 5);
    config.max_anomalies = 2;
    config
}

fn node_config(revision: u32) -> NodeConfig {
    let other = if revision.is_multiple_of(2) { r#","46":{"userId":13,"subscriptionId":null}"# } else { "" };
    let json = format!(
        r#"{{"revision":{revision},"clientMap":{{"45":{{"userId":12,"subscriptionId":300}}{other}}},
            "services":{{"xray":{{"key":"{}"}}}}}}"#,
        marked(8)
    );
    NodeConfig::from_json(json.as_bytes()).unwrap().config
}

fn timestamp(milliseconds: i64) -> Timestamp {
    Timestamp::from_unix_milliseconds(milliseconds).unwrap()
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        let stored = format!(
            r#"{{"version":1,"authKey":"{}","nodeId":"1","proxies":{{"xray":{{"startedAt":{START},"users":{{}},"outbounds":{{}}}}}}}}"#,
            marked(1)
        );
        let stored = Snapshot::from_json(stored.as_bytes()).unwrap();
        let restored = Restored::Snapshot(Box::new(stored.clone()));
        let agent = Agent::new(config.clone(), restored, timestamp(START), epoch()).unwrap();
        let mut world = Self {
            config,
            agent: TestAgent(agent),
            now: epoch(),
            wall: (START, epoch()),
            is_clock_true: true,
            stored,
            store: None,
            has_store_failed: false,
            calls: BTreeMap::new(),
            ids: BTreeSet::new(),
            apply: None,
            is_sample_wanted: false,
            process: (START, BTreeMap::new()),
            produced: 0,
            produced_outbound: 0,
            sent: BTreeSet::new(),
            core: Core { revision: 1, ..Core::default() },
        };
        world.settle();
        world
    }

    /// Does a step, then checks all rules and the books.
    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::Answer(at, answer) => self.answer(at, answer),
            Step::Store(is_ok) => self.finish_store(is_ok),
            Step::Produce(name, bytes) => self.produce(name, bytes),
            Step::Sample => self.sample(),
            Step::Applied(is_ok) => self.finish_apply(is_ok),
            Step::Publish(back) => {
                let revision = self.core.revision;
                self.core.revision = if back { revision.saturating_sub(1) } else { revision + 1 };
            }
            Step::Wait(milliseconds) => self.now += Duration::from_millis(milliseconds),
            Step::Back(milliseconds) => {
                let before = self.now.checked_sub(Duration::from_millis(milliseconds)).unwrap_or(self.now);
                self.agent.handle_timeout(before);
            }
            Step::WallClock(by) => self.set_clock(by),
            Step::RestartProxy => self.restart_proxy(),
            Step::Crash => self.restart(),
            Step::Close => self.agent.0.close(self.now),
            Step::Report(which) => self.report(which),
        }
        self.settle();
        assert_debug_hides(&self.agent.0);
        self.check_books();
        if self.agent.0.is_closed() {
            check_closed(&mut self.agent, self.now);
            self.restart();
            self.settle();
        }
    }

    /// Everything works from now on: all bytes arrive, and the node runs on what Core has.
    pub(crate) fn come_to_rest(&mut self) {
        if self.agent.0.set_key(Secret::new(marked(2)), None, self.now).is_err() {
            self.restart();
        }
        let end = self.now + Duration::from_secs(1_300);
        while self.now < end {
            self.settle();
            while self.store.is_some()
                || !self.calls.is_empty()
                || self.apply.is_some()
                || self.is_sample_wanted
            {
                self.finish_store(true);
                self.answer(0, Answer::Ok);
                self.finish_apply(true);
                if self.is_sample_wanted {
                    self.sample();
                }
                self.settle();
            }
            self.now = self.agent.poll_timeout().unwrap().max(self.now);
        }
        self.check_books();
        let snapshot = self.books();
        assert_eq!(
            (self.agent.0.waiting(), self.agent.0.accumulated()),
            (Traffic::default(), Traffic::default())
        );
        assert_eq!(snapshot["outbound"], Value::Array(Vec::new()));
        assert_eq!(self.agent.0.revision().map(|revision| revision.get()), Some(self.core.revision));
        assert_eq!(snapshot["confirmPending"], Value::Bool(false));
    }

    fn settle(&mut self) {
        for _ in 0..100 {
            let outputs = check_after_step(&mut self.agent, self.now);
            if outputs.is_empty() {
                return;
            }
            assert_debug_hides(&outputs);
            for output in outputs {
                self.enter(output);
            }
        }
        panic!("the agent never comes to rest");
    }

    fn enter(&mut self, output: Output) {
        match output {
            Output::Call { id, link, call, key, .. } => {
                assert!(self.ids.insert(format!("{id:?}")), "ids are never used twice");
                assert_eq!(
                    key.is_none(),
                    matches!(call, Call::Register(_)),
                    "the key is for all but registration"
                );
                let method = call.method();
                let same = self.calls.values().filter(|(_, call, _)| call.method() == method).count();
                assert!(same <= usize::from(method == Method::Heartbeat), "one {method:?} at a time");
                let route = match link {
                    Link::Grpc => method.grpc_path().is_some(),
                    Link::Http => method.http_route().is_some(),
                };
                assert!(route, "{method:?} goes where there is a way");
                if let Call::ReportUsage(usage) = &call {
                    self.check_sent(&usage.entries);
                    self.sent.insert(format!("{:?}", usage.entries));
                }
                if let Call::ReportOutboundUsage(usage) = &call {
                    let item = |item: &OutboundItem| {
                        serde_json::json!([item.tag, item.bytes_up.get(), item.bytes_down.get()])
                    };
                    self.sent.insert(Value::from_iter(usage.items.iter().map(item)).to_string());
                }
                self.calls.insert(id, (link, call, self.now));
            }
            Output::Cancel(id) => {
                // Core may have got it, or may not.
                let (_, call, sent) = self.calls.remove(&id).expect("only what is under way is cancelled");
                if self.core.taken.len().is_multiple_of(2) && !is_poison(&call) {
                    self.take(&call, sent);
                }
            }
            Output::Store { id, snapshot } => {
                assert!(self.store.replace((id, snapshot)).is_none(), "one store at a time");
            }
            Output::Sample(sampling) => {
                self.is_sample_wanted |= sampling == core_node_proto::agent::Sampling::Counters;
            }
            Output::Apply { id, config } => self.apply = Some((id, config)),
            Output::Event(Event::Returned(returned)) => {
                let before = self.core.handed.insert(returned.number, returned.content.clone());
                assert!(before.is_none_or(|before| before == returned.content), "a number is of one thing");
            }
            Output::Event(_) => {}
        }
    }

    /// What is sent for the first time is stored as sent, never empty, and of one instant.
    fn check_sent(&self, entries: &[UsageEntry]) {
        assert!(!entries.is_empty() && entries.len() <= 2);
        assert!(entries.iter().all(|entry| entry.recorded_at == entries[0].recorded_at));
        let stored: Value = serde_json::from_slice(&self.stored.to_json()).unwrap();
        let batches = stored["usage"].as_array().unwrap();
        let same = batches.iter().find(|batch| read_entries(&batch["entries"]) == entries);
        assert!(same.is_some_and(|batch| !batch["firstAttempt"].is_null()), "stored before it is sent");
    }

    fn answer(&mut self, at: usize, answer: Answer) {
        let Some((&id, _)) = self.calls.iter().nth(at) else { return };
        let (link, call, sent) = self.calls.remove(&id).expect("it was just there");
        let is_known =
            matches!(&call, Call::ReportUsage(usage) if self.core.taken.contains_key(&usage.entries));
        let is_poison = is_poison(&call);
        let grpc = |code| Failure::answered(FailureKind::Grpc(code));
        let http = |status| Failure::answered(FailureKind::Http(status));
        let failure = |code, status| if link == Link::Grpc { grpc(code) } else { http(status) };
        let result = match answer {
            Answer::Ok | Answer::Rejected if is_poison && !is_known => {
                Err(failure(GrpcCode::InvalidArgument, 400))
            }
            Answer::Ok => Ok(self.take(&call, sent)),
            Answer::NotOk => Ok(Reply::Acknowledged(Acknowledgement { ok: false })),
            Answer::NotApplied => Err(failure(GrpcCode::ResourceExhausted, 429)),
            Answer::Lost(arrives) => {
                if arrives && !is_poison {
                    self.take(&call, sent);
                }
                Err(Failure::new(Delivery::Perhaps, FailureKind::ConnectionLost))
            }
            Answer::Unavailable => Err(Failure::new(Delivery::No, FailureKind::Refused)),
            Answer::Auth => Err(failure(GrpcCode::Unauthenticated, 401)),
            // Core knows what it took already.
            Answer::Rejected if is_known => Ok(self.take(&call, sent)),
            Answer::Rejected => Err(failure(GrpcCode::InvalidArgument, 400)),
            Answer::TooLarge => Err(Failure::new(Delivery::No, FailureKind::TooLarge)),
            Answer::Missing => Err(failure(GrpcCode::Unimplemented, 404)),
            Answer::Unusable => {
                let error = NodeConfig::from_json(b"[]").expect_err("no configuration");
                Err(Failure::answered(FailureKind::Config(error)))
            }
        };
        match result {
            Ok(reply) => self.agent.0.handle_reply(id, reply, self.now),
            Err(failure) => self.agent.0.handle_failure(id, failure, self.now),
        }
    }

    /// Core does what a call asks for.
    fn take(&mut self, call: &Call, sent: Instant) -> Reply {
        match call {
            Call::Register(_) => {
                let auth_key = Secret::new(marked(3));
                return Reply::Registered(Registered { auth_key, node_id: NodeId::new(4).unwrap() });
            }
            Call::Heartbeat(heartbeat) => {
                let revision = heartbeat.revision.map(|revision| revision.get());
                let need_sync = revision != Some(self.core.revision) || self.core.confirmed != revision;
                return Reply::Heartbeat(HeartbeatReply { ok: true, need_sync });
            }
            Call::GetLatestConfig => {
                let config = Arc::new(node_config(self.core.revision));
                return Reply::Config(ConfigReply { config, warnings: Vec::new() });
            }
            Call::ConfirmConfigApplied(applied) => self.core.confirmed = Some(applied.revision.get()),
            Call::ReportUsage(usage) => {
                let first = *self.core.taken.entry(usage.entries.clone()).or_insert(sent);
                let is_in_window = sent - first <= Duration::from_secs(DAY + 60);
                assert!(is_in_window || !self.is_clock_true, "nothing is sent again that Core has forgotten");
            }
            Call::ReportOutboundUsage(usage) => {
                self.core.outbound +=
                    usage.items.iter().map(|item| item.bytes_up.get() + item.bytes_down.get()).sum::<u64>();
            }
            Call::ReportSessionEvents(_)
            | Call::ReportError(_)
            | Call::ReportNodeStats(_)
            | Call::ReportOnlineUsers(_) => {}
        }
        Reply::Acknowledged(Acknowledgement { ok: true })
    }

    fn finish_store(&mut self, is_ok: bool) {
        let Some((id, snapshot)) = self.store.take() else { return };
        if is_ok {
            self.stored = snapshot;
        }
        self.has_store_failed = !is_ok;
        self.agent.0.handle_stored(id, if is_ok { Ok(()) } else { Err(StoreFailed) }, self.now);
    }

    fn finish_apply(&mut self, is_ok: bool) {
        let Some((id, _)) = self.apply.take() else { return };
        let failed = ApplyFailed { message: marked(7), code: None, details: None };
        self.agent.0.handle_applied(id, if is_ok { Ok(()) } else { Err(failed) }, self.now);
    }

    fn produce(&mut self, name: usize, bytes: u64) {
        let name = NAMES[name % NAMES.len()];
        let counter = self.process.1.entry(name.into()).or_default();
        *counter = counter.plus(Traffic { up: bytes, down: bytes / 2 });
        self.produced += bytes + bytes / 2;
    }

    fn sample(&mut self) {
        self.is_sample_wanted = false;
        let mut sample = ProxyCounters::new(Proxy::Xray, timestamp(self.process.0), false);
        sample.users = self.process.1.clone();
        let all = self.process.1.values().fold(Traffic::default(), |sum, &traffic| sum.plus(traffic));
        sample.outbounds = [("direct".into(), all)].into();
        self.agent.0.handle_counters(Counters { proxies: vec![sample] }, self.now);
    }

    /// Ends the proxy's process after what it has counted was sampled and stored, as a careful application does.
    fn restart_proxy(&mut self) {
        self.settle();
        self.sample();
        for _ in 0..20 {
            self.settle();
            if self.agent.0.snapshot() == &self.stored {
                break;
            }
            if self.store.is_none() {
                self.now = self.agent.poll_timeout().map_or(self.now, |due| due.max(self.now));
                self.agent.handle_timeout(self.now);
                self.settle();
            }
            self.finish_store(true);
        }
        let stored = serde_json::from_slice(&self.stored.to_json()).unwrap();
        if read_last(&self.books()) == self.process.1 && read_last(&stored) == self.process.1 {
            self.produced_outbound += sum(&self.process.1);
            self.process = (self.process.0 + 1, BTreeMap::new());
        }
    }

    /// The agent's process ends; another begins with what was stored.
    fn restart(&mut self) {
        for (_, (_, call, sent)) in std::mem::take(&mut self.calls) {
            if self.core.taken.len().is_multiple_of(3) && !is_poison(&call) {
                self.take(&call, sent);
            }
        }
        // The file may have been written although nobody has heard of it.
        if let Some((_, snapshot)) = self.store.take()
            && self.core.taken.len() % 2 == 1
        {
            self.stored = snapshot;
        }
        (self.apply, self.is_sample_wanted, self.has_store_failed) = (None, false, false);
        self.ids.clear();
        let stored = serde_json::from_slice(&self.stored.to_json()).unwrap();
        self.sent.extend(read_marked(&stored));
        let restored = Restored::from_json(Some(&self.stored.to_json()));
        assert_eq!(
            restored,
            Restored::Snapshot(Box::new(self.stored.clone())),
            "what is written is read again"
        );
        let agent = Agent::new(self.config.clone(), restored, self.wall_clock(), self.now);
        self.agent = TestAgent(agent.unwrap());
    }

    fn wall_clock(&self) -> Timestamp {
        let passed = self.now.saturating_duration_since(self.wall.1).as_millis();
        timestamp(self.wall.0).saturating_add_milliseconds(u64::try_from(passed).unwrap())
    }

    fn set_clock(&mut self, by: i64) {
        let at = self.wall_clock().unix_milliseconds().saturating_add(by);
        let at = at.clamp(Timestamp::MIN.unix_milliseconds(), Timestamp::MAX.unix_milliseconds());
        self.wall = (at, self.now);
        self.is_clock_true = false;
        self.agent.0.set_wall_clock(timestamp(at), self.now);
    }

    fn report(&mut self, which: usize) {
        let now = self.now;
        let agent = &mut self.agent.0;
        let session = SessionEvent {
            user_id: UserId::MIN,
            protocol: VpnProtocol::XRAY,
            event_type: SessionEventType::ONLINE,
            occurred_at: timestamp(START),
            ip_address: None,
        };
        match which % 6 {
            0 => drop(agent.record_session(session, now)),
            1 => drop(agent.report_error(NodeError { message: marked(6), code: None, details: None }, now)),
            2 => agent.handle_stats(NodeStats::default(), now),
            3 => {
                let seen = NAMES.map(|name| Seen { name: name.into(), ip: None, last_seen: None });
                agent.handle_online(&seen, now);
            }
            4 => drop(agent.set_key(Secret::new(marked(2)), None, now)),
            _ => drop(agent.register(Secret::new(marked(9)), now)),
        }
    }

    fn books(&self) -> Value {
        serde_json::from_slice(&self.agent.0.snapshot().to_json()).unwrap()
    }

    /// No byte of a user is lost or counted twice, whatever has happened: each is in the proxy, accumulated, unattributed, or
    /// in one batch that waits, was given back, or is Core's.
    fn check_books(&self) {
        let books = self.books();
        let mut batches: BTreeSet<Vec<UsageEntry>> = self.core.taken.keys().cloned().collect();
        batches
            .extend(books["usage"].as_array().unwrap().iter().map(|batch| read_entries(&batch["entries"])));
        let returned = books["returned"].as_array().unwrap();
        let usage = returned.iter().filter(|returned| !returned["usage"].is_null());
        batches.extend(usage.map(|returned| read_entries(&returned["usage"])));
        batches.extend(self.core.handed.values().filter_map(|content| match content {
            ReturnedContent::Usage(entries) => Some(entries.to_vec()),
            ReturnedContent::Outbound(_) => None,
        }));
        let in_batches: u64 =
            batches.iter().flatten().map(|entry| entry.bytes_up.get() + entry.bytes_down.get()).sum();
        let pair = |value: &Value| value[0].as_u64().unwrap() + value[1].as_u64().unwrap();
        let accumulated: u64 = books["users"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user[3].as_u64().unwrap() + user[4].as_u64().unwrap())
            .sum();
        let is_current = books["proxies"]["xray"]["startedAt"].as_i64() == Some(self.process.0);
        let sampled = if is_current { sum(&read_last(&books)) } else { 0 };
        let in_proxy = sum(&self.process.1) - sampled;
        let found = in_batches + accumulated + pair(&books["unattributed"]) + in_proxy;
        assert_eq!(
            self.produced, found,
            "batches {in_batches}, accumulated {accumulated}, in the proxy {in_proxy}"
        );
        self.check_outbound(&books, is_current);
        // A mark that is stored is of a batch that has gone: any other would be in doubt for nothing after a crash.
        let is_at_rest = self.store.is_none() && !self.has_store_failed;
        if is_at_rest && self.agent.0.snapshot() == &self.stored {
            for marked in read_marked(&books) {
                assert!(self.sent.contains(&marked), "marked, stored and never sent: {marked}");
            }
        }
    }

    /// What outbounds have sent is never counted twice, and never lost without a word.
    fn check_outbound(&self, books: &Value, is_current: bool) {
        let items = |items: &Value| -> u64 {
            let items = items.as_array().into_iter().flatten();
            items.map(|item| item[1].as_u64().unwrap() + item[2].as_u64().unwrap()).sum()
        };
        let waiting: u64 =
            books["outbound"].as_array().unwrap().iter().map(|batch| items(&batch["entries"])).sum();
        let returned: u64 =
            books["returned"].as_array().unwrap().iter().map(|returned| items(&returned["outbound"])).sum();
        let handed: u64 = self
            .core
            .handed
            .values()
            .map(|content| match content {
                ReturnedContent::Usage(_) => 0,
                ReturnedContent::Outbound(items) => {
                    items.iter().map(|item| item.bytes_up.get() + item.bytes_down.get()).sum()
                }
            })
            .sum();
        let last = &books["proxies"]["xray"]["outbounds"]["direct"];
        let sampled = last.as_array().map_or(0, |last| last[0].as_u64().unwrap() + last[1].as_u64().unwrap());
        let produced = self.produced_outbound + sum(&self.process.1);
        let in_proxy = sum(&self.process.1) - if is_current { sampled } else { 0 };
        assert!(self.core.outbound <= produced, "outbound traffic is not counted twice");
        let told = self.core.outbound + waiting + returned + handed + items(&books["outbounds"]) + in_proxy;
        assert!(produced <= told, "outbound traffic is not lost in silence: {produced} of {told}");
    }
}

/// Whether Core refuses it.
fn is_poison(call: &Call) -> bool {
    matches!(call, Call::ReportUsage(usage) if usage.entries.iter().any(|entry| entry.user_id.get() == POISON))
}

fn sum(table: &BTreeMap<Box<str>, Traffic>) -> u64 {
    table.values().map(|traffic| traffic.up + traffic.down).sum()
}

fn read_last(books: &Value) -> BTreeMap<Box<str>, Traffic> {
    let users = books["proxies"]["xray"]["users"].as_object().into_iter().flatten();
    let traffic = |pair: &Value| Traffic { up: pair[0].as_u64().unwrap(), down: pair[1].as_u64().unwrap() };
    users.map(|(name, pair)| (name.as_str().into(), traffic(pair))).collect()
}

/// Returns the entries of the batches that are marked as sent.
fn read_marked(books: &Value) -> Vec<String> {
    let marked = |kind: &str| {
        let batches = books[kind].as_array().unwrap().clone();
        batches.into_iter().filter(|batch| !batch["firstAttempt"].is_null())
    };
    let usage = marked("usage").map(|batch| format!("{:?}", read_entries(&batch["entries"])));
    usage.chain(marked("outbound").map(|batch| batch["entries"].to_string())).collect()
}

fn read_entries(value: &Value) -> Vec<UsageEntry> {
    use core_node_proto::value::{ByteCount, NodeProtocolId, SubscriptionId};
    let recorded_at = timestamp(value[0].as_i64().unwrap());
    let number = |value: &Value| value.as_i64().unwrap();
    let count = |value: &Value| ByteCount::new(value.as_u64().unwrap()).unwrap();
    let entry = |user: &Value| UsageEntry {
        user_id: UserId::new(number(&user[0])).unwrap(),
        subscription_id: user[1].as_i64().map(|id| SubscriptionId::new(id).unwrap()),
        node_protocol_id: NodeProtocolId::new(number(&user[2])).unwrap(),
        bytes_up: count(&user[3]),
        bytes_down: count(&user[4]),
        recorded_at,
    };
    value[1].as_array().unwrap().iter().map(entry).collect()
}
