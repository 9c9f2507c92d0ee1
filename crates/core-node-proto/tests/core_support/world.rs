//! A Core in a world that does anything, at any time, in any order; after each step the rules hold. What the world does is
//! chosen by numbers, so that property tests and fuzz targets share it.

use bytes::Bytes;
use core_node_proto::call::{
    Body, Call, Credential, Delivery, Failure, FailureKind, Incoming, KeyPlacement, Refusal, Reply,
};
use core_node_proto::core::enrichment::{self, AddressQuery, Job, Provider, RateLimit};
use core_node_proto::core::{
    Audience, Change, Config, ConfigParts, Confirmation, Core, Entropy, ExchangeId, KeyDigest, NeedSync,
    NodeRecord, Output, QueryFailed, QueryId, RequestId, SessionTexts, StoreId, Tables,
};
use core_node_proto::http::Base;
use core_node_proto::message::{
    ConfigApplied, Heartbeat, NodeError, NodeStats, OnlineIp, OnlineUser, OnlineUsers, OutboundItem,
    OutboundUsage, Register, SessionEvent, SessionEvents, SystemStats, Usage, UsageEntry,
};
use core_node_proto::value::{
    ByteCount, NodeId, NodeProtocolId, NodeStatus, Revision, SessionEventType, SubscriptionId, SyncStatus,
    Timestamp, UserId, VpnProtocol,
};
use core_node_proto::{Instant, Method, Secret, StoreFailed, grpc, http};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use testkit::rules::{check_after_step, check_command, check_nothing_unannounced};
use testkit::secrets::{assert_debug_hides, find_secret, marked};
use testkit::{Machine, epoch};

/// Returns a number below the one that is given.
pub(crate) type Choose<'a> = dyn FnMut(usize) -> usize + 'a;

/// 2030-01-02T03:04:05.000Z
const BEGIN: i64 = 1_893_553_445_000;
const CODES: u64 = 3;
/// Numbers of marked secrets: codes from here on, keys from 0 on.
const CODE: u64 = 100;

struct Under(Core);

testkit::forward_machine!(Under, Output);

pub(crate) struct World {
    core: Under,
    config: Config,
    now: Instant,
    tables: Tables,
    /// Transactions that no outcome was reported of.
    stores: Vec<Open>,
    /// Who waits for a reply, and what usage it reported.
    waiting: BTreeMap<ExchangeId, Option<Batch>>,
    /// Batches that were stored since the last start, and before.
    stored: BTreeSet<Batch>,
    queries: Vec<(QueryId, AddressQuery)>,
    requests: Vec<RequestId>,
    keys: Vec<Secret>,
    starts: u8,
    last: Option<ExchangeId>,
    /// Until then Core may have to set records right that build on one that was not stored.
    sure_from: Option<Instant>,
}

/// A node, and the entries that it reports, sorted.
type Batch = (NodeId, Vec<UsageEntry>);

struct Open {
    id: StoreId,
    changes: Vec<Change>,
    batch: Option<Batch>,
    /// What became of it in the database, which makes transactions in order.
    done: Option<Result<(), StoreFailed>>,
}

impl World {
    pub(crate) fn new(choose: &mut Choose<'_>) -> Option<Self> {
        let config = config(choose);
        let tables = tables();
        let core = Core::new(config.clone(), tables.stored(), timestamp(0), epoch()).ok()?;
        let mut world = Self {
            core: Under(core),
            config,
            now: epoch(),
            tables,
            stores: Vec::new(),
            waiting: BTreeMap::new(),
            stored: BTreeSet::new(),
            queries: Vec::new(),
            requests: Vec::new(),
            keys: (0..2).map(|number| Secret::new(marked(number))).collect(),
            starts: 0,
            last: None,
            sure_from: None,
        };
        world.settle(None);
        Some(world)
    }

    /// Does one thing and checks the rules.
    pub(crate) fn step(&mut self, choose: &mut Choose<'_>) {
        match choose(20) {
            0..=8 => self.call(choose),
            9..=12 => self.stored(choose),
            13 => self.command(choose),
            14 => self.outside(choose),
            15 => self.pass(choose),
            16 => {
                self.now = self.core.poll_timeout().map_or(self.now, |due| due.max(self.now));
                self.core.handle_timeout(self.now);
            }
            17 => self.cancel(choose),
            18 => match choose(4) {
                0 => self.restart(choose),
                1 => self.wait_almost(),
                2 => {
                    let wall_clock = timestamp(choose(256) as i64 * 3_600_000 - 40_000_000);
                    self.core.0.set_wall_clock(wall_clock, self.now);
                }
                _ => self.directory(choose),
            },
            _ => {
                let earlier = self.now.checked_sub(Duration::from_millis(5000));
                self.core.handle_timeout(earlier.unwrap_or(self.now));
            }
        }
        self.settle(None);
    }

    /// Ends all that is open, then checks that nothing waits.
    pub(crate) fn end(mut self) {
        while !self.stores.is_empty() {
            self.report(0, &mut |_| 0);
            self.settle(None);
        }
        self.now += self.config.store_retry;
        self.core.handle_timeout(self.now);
        self.settle(None);
        while !self.stores.is_empty() {
            self.report(0, &mut |_| 0);
            self.settle(None);
        }
        assert!(self.waiting.is_empty(), "rule: whoever waits is answered; {:?} wait", self.waiting.keys());
        self.check_tables();
        assert_debug_hides(&self.core.0);
    }

    fn settle(&mut self, batch: Option<&Batch>) {
        for output in check_after_step(&mut self.core, self.now) {
            let text = format!("{output:?}");
            assert_eq!(find_secret(&text), None, "rule: no secret shows; {text}");
            let is_shown = |key: &Secret| text.contains(key.expose());
            assert!(!self.keys.iter().any(is_shown), "rule: no key shows; {text}");
            self.take(output, batch);
        }
        self.check_limits();
        let is_awake = self.core.poll_timeout().is_none_or(|due| due > self.now);
        if self.stores.is_empty() && is_awake && self.sure_from <= Some(self.now) {
            self.check_tables();
        }
    }

    fn take(&mut self, output: Output, batch: Option<&Batch>) {
        match output {
            Output::Reply { id, outcome } => self.answered(id, outcome),
            Output::Store { id, changes } => {
                assert!(!changes.is_empty(), "rule: a transaction changes something");
                let is_usage =
                    changes.iter().any(|change| matches!(change, Change::Batch { .. } | Change::Usage(..)));
                let batch = batch.filter(|_| is_usage).cloned();
                self.stores.push(Open { id, changes, batch, done: None });
            }
            Output::SetOnline { lifetime, .. } => {
                let is_possible = !lifetime.is_zero() && lifetime <= self.config.online_lifetime;
                assert!(is_possible, "rule: a key has a lifetime up to the setting; {lifetime:?}");
            }
            Output::Query { id, query } => self.queries.push((id, query)),
            Output::Request { id, .. } => self.requests.push(id),
            Output::Cancel(id) => self.requests.retain(|open| *open != id),
            Output::Event(_) => {}
        }
    }

    fn answered(&mut self, id: ExchangeId, outcome: Result<Reply, Refusal>) {
        let Some(batch) = self.waiting.remove(&id) else {
            panic!("rule: an exchange is answered once, if at all");
        };
        if let (Ok(_), Some(batch)) = (&outcome, &batch) {
            assert!(self.stored.contains(batch), "rule: usage is acknowledged when it is stored");
        }
        if let Ok(Reply::Registered(registered)) = outcome {
            assert!(self.tables.nodes.contains_key(&registered.node_id), "rule: a node is stored first");
            self.keys.push(registered.auth_key);
        }
    }

    fn check_limits(&self) {
        let (core, config) = (&self.core.0, &self.config);
        assert!(core.waiting() <= config.max_pending, "rule: waiting exchanges have a limit");
        assert_eq!(core.waiting(), self.waiting.len(), "rule: what is not answered waits");
        let repairs = core.nodes().count();
        assert!(core.storing() <= config.max_pending + repairs + 1, "rule: transactions have a limit");
        assert!(core.nodes().count() <= config.max_nodes.max(2), "rule: nodes have a limit");
        for node in core.nodes() {
            assert!(core.history(&node.id).count() <= config.stats_history, "rule: the history has a limit");
        }
        assert!(core.online(self.now).len() <= config.max_online, "rule: users online have a limit");
        for ((_, _), count) in counts(self.tables.batches.keys().map(|(node, _)| (node, ()))) {
            assert!(count <= config.max_batches, "rule: recognised batches have a limit");
        }
    }

    /// With nothing under way Core knows what is stored, and would know it after a restart.
    fn check_tables(&self) {
        let core = &self.core.0;
        let stored: Vec<&NodeRecord> = self.tables.nodes.values().map(|record| &**record).collect();
        assert_eq!(core.nodes().collect::<Vec<_>>(), stored, "rule: Core knows what is stored");
        assert_eq!(core.published(), &self.tables.published, "rule: Core knows what is stored");
        let again = Core::new(self.config.clone(), self.tables.stored(), timestamp(0), self.now);
        let again = again.expect("rule: what Core stores it can start from");
        assert_eq!(again.nodes().collect::<Vec<_>>(), stored, "rule: Core starts from what is stored");
    }

    fn call(&mut self, choose: &mut Choose<'_>) {
        let call = self.make_call(choose);
        let (key, node) = self.choose_key(choose);
        let incoming = match choose(8) {
            0 => junk(&call, key.clone(), choose),
            1..=3 => over_grpc(&call, key.as_ref(), choose),
            4 | 5 => over_http(&call, key.as_ref()),
            _ => None,
        };
        let incoming = incoming.unwrap_or_else(|| Incoming {
            method: call.method(),
            credential: key.map_or(Credential::Absent, Credential::Key),
            body: Body::Call(call.clone()),
        });
        let batch = match (&call, node) {
            (Call::ReportUsage(usage), Some(node)) if self.may_store(&node, usage) => {
                let mut entries = usage.entries.clone();
                entries.sort_unstable();
                Some((node, entries))
            }
            _ => None,
        };
        let is_intact =
            !matches!(&incoming.body, Body::Json(body) | Body::Protobuf(body) if body.starts_with(b"junk"));
        let batch = batch.filter(|_| is_intact);
        let id = self.core.0.handle_call(incoming, self.now);
        assert!(self.last < Some(id) || self.starts > 0, "rule: ids are never used twice");
        self.last = Some(id);
        self.waiting.insert(id, batch.clone());
        self.settle(batch.as_ref());
    }

    /// Whether a batch has anything to store.
    fn may_store(&self, node: &NodeId, usage: &Usage) -> bool {
        let directory = self.core.0.directory();
        let counts = |entry: &UsageEntry| {
            let is_known =
                directory.has_user(entry.user_id) && directory.node_of(entry.node_protocol_id) == Some(node);
            is_known && (entry.bytes_up, entry.bytes_down) != (ByteCount::ZERO, ByteCount::ZERO)
        };
        let is_recognised = self.config.replay_recognition && !usage.entries.is_empty();
        is_recognised || usage.entries.iter().any(counts)
    }

    /// Returns a key and the node that it is of.
    fn choose_key(&self, choose: &mut Choose<'_>) -> (Option<Secret>, Option<NodeId>) {
        let key = match choose(8) {
            0 => return (None, None),
            1 => Secret::new(marked(99)),
            _ => self.keys[choose(self.keys.len())].clone(),
        };
        let digest = KeyDigest::of(&key);
        let node = self.core.0.nodes().find(|record| record.key == digest);
        (Some(key), node.map(|record| record.id.clone()))
    }

    fn make_call(&mut self, choose: &mut Choose<'_>) -> Call {
        match choose(14) {
            0 => Call::Register(Register {
                code: Secret::new(marked(CODE + choose(5) as u64)),
                name: "n".repeat(1 + choose(300)),
                ip: "203.0.113.7".parse().unwrap(),
                port: 3100.try_into().unwrap(),
                region: "eu".into(),
                domain: None,
            }),
            1 | 2 => Call::Heartbeat(Heartbeat {
                ip: (choose(2) == 1).then(|| "198.51.100.9".parse().unwrap()),
                revision: (choose(3) > 0).then(|| revision(choose)),
            }),
            3..=5 => Call::ReportUsage(Usage { entries: many(choose, 4, |choose| self.entry(choose)) }),
            6 => Call::ReportOutboundUsage(OutboundUsage {
                items: many(choose, 3, |choose| OutboundItem {
                    tag: ["direct", "warp", "nope", ""][choose(4)].into(),
                    bytes_up: bytes(choose),
                    bytes_down: bytes(choose),
                }),
            }),
            7 => Call::ReportSessionEvents(SessionEvents {
                events: many(choose, 3, |choose| SessionEvent {
                    user_id: user(choose),
                    protocol: VpnProtocol::new(["vless", "tuic"][choose(2)]).unwrap(),
                    event_type: SessionEventType::ONLINE,
                    occurred_at: self.instant(choose),
                    ip_address: None,
                }),
            }),
            8 => Call::GetLatestConfig,
            9 => Call::ConfirmConfigApplied(ConfigApplied { revision: revision(choose) }),
            10 => Call::ReportError(NodeError {
                message: ["xray did not start", ""][choose(8) / 7].into(),
                code: None,
                details: None,
            }),
            11 => Call::ReportNodeStats(NodeStats {
                system: (choose(2) == 1).then(SystemStats::default),
                ..NodeStats::default()
            }),
            _ => Call::ReportOnlineUsers(OnlineUsers {
                users: many(choose, 3, |choose| OnlineUser {
                    user_id: user(choose),
                    node_protocol_id: inbound(choose),
                    ips: many(choose, 2, |choose| OnlineIp {
                        ip: ["8.8.8.8", "1.1.1.1", "10.0.0.1", "2001:4860::1"][choose(4)].parse().unwrap(),
                        last_seen: (choose(2) == 1).then(|| self.instant(choose)),
                    }),
                }),
                unreadable: choose(2),
            }),
        }
    }

    fn entry(&self, choose: &mut Choose<'_>) -> UsageEntry {
        UsageEntry {
            user_id: user(choose),
            subscription_id: [None, SubscriptionId::new(300).ok(), SubscriptionId::new(301).ok()][choose(3)],
            node_protocol_id: inbound(choose),
            bytes_up: bytes(choose),
            bytes_down: bytes(choose),
            recorded_at: self.instant(choose),
        }
    }

    fn instant(&self, choose: &mut Choose<'_>) -> Timestamp {
        timestamp([0, 0, 60_000, -60_000, 400_000, -700_000_000, i64::MIN, i64::MAX][choose(8)])
    }

    fn stored(&mut self, choose: &mut Choose<'_>) {
        if !self.stores.is_empty() {
            let place = if choose(4) == 0 { choose(self.stores.len()) } else { 0 };
            self.report(place, choose);
        } else if let Some(id) = self.tables.nodes.keys().next() {
            // An outcome that is not asked for.
            let id = id.clone();
            let store = self.core.0.set_domain(&id, Some("x".into()), self.now);
            if let Ok(store) = store {
                self.settle(None);
                self.report(self.stores.len() - 1, &mut |_| 0);
                self.core.0.handle_stored(store, Err(StoreFailed), self.now);
            }
        }
    }

    /// Reports the outcome of a transaction; those before it have ended as well by then, unknown to Core.
    fn report(&mut self, place: usize, choose: &mut Choose<'_>) {
        for at in 0..=place {
            if self.stores[at].done.is_none() {
                self.make(at, choose(4) == 3);
            }
        }
        let open = self.stores.remove(place);
        if self.sure_from.is_some() || open.done == Some(Err(StoreFailed)) {
            // One nanosecond more: what is due at that instant has not happened yet.
            self.sure_from = Some(self.now + self.config.store_retry + Duration::from_nanos(1));
        }
        self.core.0.handle_stored(open.id, open.done.unwrap_or(Ok(())), self.now);
        self.core.0.handle_stored(open.id, Err(StoreFailed), self.now);
    }

    /// Makes a transaction in the database.
    fn make(&mut self, at: usize, fails: bool) {
        let open = &mut self.stores[at];
        open.done = Some(if fails { Err(StoreFailed) } else { Ok(()) });
        if fails {
            return;
        }
        let mut before = self.tables.batches.clone();
        for change in &open.changes {
            match change {
                Change::BatchForgotten { node, batch } => drop(before.remove(&(node.clone(), *batch))),
                Change::Batch { node, batch, .. } => {
                    let is_new = !before.contains_key(&(node.clone(), *batch));
                    assert!(is_new, "rule: a batch that is recognised is not counted again");
                }
                _ => {}
            }
        }
        self.tables.apply(&open.changes);
        self.stored.extend(open.batch.take());
    }

    fn command(&mut self, choose: &mut Choose<'_>) {
        let node = NodeId::new(1 + choose(5) as i64).unwrap();
        let code = Secret::new(marked(CODE + choose(CODES as usize + 1) as u64));
        let now = self.now;
        let expires = (choose(3) == 0).then(|| timestamp(choose(256) as i64 * 1000));
        match choose(9) {
            0 | 1 => {
                let audience = if choose(2) == 0 { Audience::All } else { Audience::Node(node) };
                let result = check_command(&mut self.core, |core| {
                    core.0.publish(ConfigParts::default(), audience, now)
                });
                let published = self.core.0.published().greatest();
                assert!(result.is_err() || result.is_ok_and(|revision| revision > published));
            }
            2 => _ = check_command(&mut self.core, |core| core.0.add_code(&code, expires, now)),
            3 => _ = check_command(&mut self.core, |core| core.0.remove_code(&code, now)),
            4 => {
                let domain = [None, Some("n1.example.net".into()), Some(String::new())][choose(3)].clone();
                _ = check_command(&mut self.core, |core| core.0.set_domain(&node, domain, now));
            }
            5 => _ = check_command(&mut self.core, |core| core.0.remove_node(&node, now)),
            6 | 7 => _ = check_command(&mut self.core, |core| core.0.fetch_runtime_status(&node, now)),
            _ => {
                let job = [Job::Daily, Job::Recent][choose(2)];
                _ = check_command(&mut self.core, |core| core.0.start_enrichment(job, now));
            }
        }
    }

    fn outside(&mut self, choose: &mut Choose<'_>) {
        if choose(2) == 0 && !self.queries.is_empty() {
            let (id, query) = self.queries.remove(choose(self.queries.len()));
            match choose(4) {
                0 => self.core.0.handle_addresses(id, Err(QueryFailed), self.now),
                _ => self.core.0.handle_addresses(id, Ok(self.tables.addresses(&query)), self.now),
            }
        } else if !self.requests.is_empty() {
            let id = self.requests.remove(choose(self.requests.len()));
            let failure = Failure::new(Delivery::Perhaps, FailureKind::ConnectionLost);
            let body = [
                r#"{"system":null,"xray":{"running":true}}"#,
                r#"[{"query":"8.8.8.8","status":"success"}]"#,
                r#"[{"query":"8.8.8.8","status":"fail"}]"#,
                "{",
            ][choose(4)];
            let status = [200, 200, 200, 404, 429, 500][choose(6)];
            let response = ::http::Response::builder().status(status).body(Bytes::from(body)).unwrap();
            match choose(4) {
                0 => self.core.0.handle_failure(id, failure, self.now),
                _ => self.core.0.handle_response(id, response.clone(), self.now),
            }
            self.settle(None);
            self.core.0.handle_response(id, response, self.now);
        }
    }

    fn pass(&mut self, choose: &mut Choose<'_>) {
        let times = [1, 1000, 10_000, 10_001, 20_000, 61_000, 600_000, 86_400_000];
        self.now += Duration::from_millis(times[choose(times.len())]);
    }

    /// Waits until just before the next deadline, when nothing has happened yet.
    fn wait_almost(&mut self) {
        let Some(due) = self.core.poll_timeout().filter(|due| *due > self.now) else { return };
        check_nothing_unannounced(&mut self.core, self.now);
        self.now = due - Duration::from_nanos(1);
    }

    fn cancel(&mut self, choose: &mut Choose<'_>) {
        let ids: Vec<_> = self.waiting.keys().copied().collect();
        if let Some(id) = ids.get(choose(ids.len())) {
            self.core.0.handle_cancel(*id, self.now);
            self.waiting.remove(id);
        }
    }

    fn directory(&mut self, choose: &mut Choose<'_>) {
        let (user, inbound) = (user(choose), inbound(choose));
        for directory in [self.core.0.directory_mut(), &mut self.tables.directory] {
            if !directory.remove_user(user) {
                directory.add_user(user);
                directory.add_inbound(inbound, NodeId::new(1).unwrap());
            }
        }
    }

    /// Crashes: some of the transactions that are open are made, none of the later ones.
    fn restart(&mut self, choose: &mut Choose<'_>) {
        let made = choose(self.stores.len() + 1);
        for at in 0..made {
            if self.stores[at].done.is_none() {
                self.make(at, choose(4) == 3);
            }
        }
        self.stores.clear();
        self.sure_from = None;
        self.waiting.clear();
        self.queries.clear();
        self.requests.clear();
        self.starts = self.starts.wrapping_add(1);
        self.config.entropy = Entropy::new([self.starts; 32]);
        let core = Core::new(self.config.clone(), self.tables.stored(), timestamp(0), self.now);
        self.core = Under(core.expect("rule: what Core stores it can start from"));
    }
}

fn config(choose: &mut Choose<'_>) -> Config {
    let mut config = Config::new(Entropy::new([0xff; 32]));
    config.need_sync = [NeedSync::Behind, NeedSync::Differs][choose(2)];
    config.confirmation = [Confirmation::Strict, Confirmation::Document][choose(2)];
    config.session_texts = [SessionTexts::Any, SessionTexts::Known][choose(2)];
    config.replay_recognition = choose(4) != 3;
    config.offline_after = [Some(Duration::from_secs(60)), None][choose(2)];
    if choose(3) == 2 {
        config.max_batches = 2;
        config.max_pending = 3;
        config.max_nodes = 3;
        config.max_online = 3;
        config.max_items = 3;
        config.max_fetches = 1;
        config.max_http_body = 300;
        config.max_grpc_message = 100;
        config.stats_history = 2;
    }
    if choose(2) == 1 {
        let mut about = enrichment::Config::new(Provider::IpApi, Some(Secret::new(marked(98))));
        about.rate = Some(RateLimit { requests: 2, period: Duration::from_secs(60) });
        about.page = 1 + choose(3);
        config.enrichment = Some(about);
    }
    config
}

/// Returns what the first Core starts from: two nodes, three codes, some users.
fn tables() -> Tables {
    let mut tables = Tables::default();
    for number in 0..2 {
        let id = NodeId::new(number + 1).unwrap();
        let registration = Register {
            code: Secret::default(),
            name: format!("node-{id}"),
            ip: "192.0.2.1".parse().unwrap(),
            port: 3100.try_into().unwrap(),
            region: "eu".into(),
            domain: None,
        };
        let key = KeyDigest::of(&Secret::new(marked(number.cast_unsigned())));
        let mut record = NodeRecord::new(id.clone(), key, &registration);
        if number == 0 {
            record.node_status = NodeStatus::ONLINE;
            record.sync_status = SyncStatus::SYNCED;
        }
        tables.apply(&[Change::Node(Arc::new(record))]);
        for tag in ["direct", "warp"] {
            tables.directory.add_outbound(id.clone(), tag);
        }
        for inbound in 0..2 {
            tables.directory.add_inbound(NodeProtocolId::new(6 + number * 2 + inbound).unwrap(), id.clone());
        }
    }
    for number in 12..15 {
        tables.directory.add_user(UserId::new(number).unwrap());
    }
    for (subscription, user) in [(300, 12), (301, 13)] {
        let user = UserId::new(user).unwrap();
        tables.directory.add_subscription(SubscriptionId::new(subscription).unwrap(), user);
    }
    let codes = (0..CODES).map(|number| Change::CodeAdded {
        code: core_node_proto::core::CodeDigest::of(&Secret::new(marked(CODE + number))),
        expires: None,
    });
    tables.apply(&codes.collect::<Vec<_>>());
    tables
}

fn over_http(call: &Call, key: Option<&Secret>) -> Option<Incoming> {
    let base = Base::parse("http://127.0.0.1:3001").unwrap();
    call.method().http_route()?;
    http::read_request(http::request(&base, call, key).ok()?).ok()
}

fn over_grpc(call: &Call, key: Option<&Secret>, choose: &mut Choose<'_>) -> Option<Incoming> {
    let placement = [KeyPlacement::Metadata, KeyPlacement::Field, KeyPlacement::Both][choose(3)];
    let request = grpc::request(call, key, placement)?;
    let mut metadata = ::http::HeaderMap::new();
    metadata.extend(request.metadata.map(|key| (::http::HeaderName::from_static(grpc::KEY_HEADER), key)));
    grpc::read_request(request.path, &metadata, request.message).ok()
}

/// Returns a call whose body is none.
fn junk(call: &Call, key: Option<Secret>, choose: &mut Choose<'_>) -> Option<Incoming> {
    let mut body = b"junk".to_vec();
    body.extend((0..choose(8)).map(|_| choose(256) as u8));
    let body = [Body::Json(body.clone().into()), Body::Protobuf(body.into())][choose(2)].clone();
    let method = Method::ALL[choose(Method::ALL.len())];
    let credential = match choose(3) {
        0 => Credential::Unusable,
        _ => key.map_or(Credential::Absent, Credential::Key),
    };
    let body = if choose(4) == 0 { Body::Call(call.clone()) } else { body };
    // A call of another method than the one beside it is refused.
    (body != Body::Call(call.clone()) || method != call.method()).then_some(Incoming {
        method,
        credential,
        body,
    })
}

fn many<T>(choose: &mut Choose<'_>, most: usize, mut one: impl FnMut(&mut Choose<'_>) -> T) -> Vec<T> {
    let count = choose(most + 1);
    (0..count).map(|_| one(choose)).collect()
}

fn user(choose: &mut Choose<'_>) -> UserId {
    UserId::new(12 + choose(4) as i64).unwrap()
}

fn inbound(choose: &mut Choose<'_>) -> NodeProtocolId {
    NodeProtocolId::new(6 + choose(5) as i64).unwrap()
}

fn revision(choose: &mut Choose<'_>) -> Revision {
    Revision::new([0, 1, 2, 3, 4, i64::from(i32::MAX)][choose(6)]).unwrap()
}

fn bytes(choose: &mut Choose<'_>) -> ByteCount {
    [ByteCount::ZERO, ByteCount::new(100).unwrap(), ByteCount::MAX_HTTP, ByteCount::MAX][choose(4)]
}

fn timestamp(milliseconds: i64) -> Timestamp {
    let at = BEGIN.saturating_add(milliseconds);
    let at = at.clamp(Timestamp::MIN.unix_milliseconds(), Timestamp::MAX.unix_milliseconds());
    Timestamp::from_unix_milliseconds(at).unwrap()
}

fn counts<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}
