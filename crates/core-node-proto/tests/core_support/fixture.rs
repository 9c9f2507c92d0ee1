//! A Core with two nodes and its tables on a virtual clock, and its outputs as lines of text.

use core_node_proto::call::{Body, Call, Credential, Incoming, Reply};
use core_node_proto::core::{
    Change, CodeDigest, Config, Core, Entropy, Event, ExchangeId, KeyDigest, NodeRecord, Output, StoreId,
    Tables, Traffic,
};
use core_node_proto::message::{
    ConfigApplied, Heartbeat, NodeError, OnlineIp, OnlineUser, OnlineUsers, Register, Usage, UsageEntry,
};
use core_node_proto::value::{
    ByteCount, NodeId, NodeProtocolId, NodeStatus, Revision, SubscriptionId, SyncStatus, Timestamp, UserId,
};
use core_node_proto::{Instant, Secret, StoreFailed};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use testkit::epoch;
use testkit::secrets::{assert_no_secret, marked};

/// The time of day at the beginning.
pub(crate) const BEGIN: &str = "2030-01-02T03:04:05.000Z";
/// The number of the marked secret that is a code; keys are 1 and 2, as their nodes.
pub(crate) const CODE: u64 = 100;

pub(crate) struct Fixture {
    pub(crate) core: Core,
    pub(crate) tables: Tables,
    pub(crate) now: Instant,
    /// Whether transactions are made at once.
    pub(crate) stores: bool,
    /// Those that are not made yet.
    pub(crate) open: VecDeque<(StoreId, Vec<Change>)>,
    pub(crate) replies: Vec<(ExchangeId, Reply)>,
    config: Config,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(Entropy::new([7; 32]));
        config.offline_after = None;
        change(&mut config);
        let tables = tables();
        let core = Core::new(config.clone(), tables.stored(), at(BEGIN), epoch()).unwrap();
        let open = VecDeque::new();
        Self { core, tables, now: epoch(), stores: true, open, replies: Vec::new(), config }
    }

    /// Starts again from what is stored.
    pub(crate) fn restart(&mut self) {
        self.config.entropy = Entropy::new([8; 32]);
        let core = Core::new(self.config.clone(), self.tables.stored(), self.time_of_day(), self.now);
        self.core = core.unwrap();
        self.open.clear();
    }

    pub(crate) fn time_of_day(&self) -> Timestamp {
        at(BEGIN).saturating_add_milliseconds((self.now - epoch()).as_millis() as u64)
    }

    /// Makes a call with the key of a node; 0 is none.
    pub(crate) fn call(&mut self, key: u64, call: Call) -> Vec<String> {
        let credential =
            if key == 0 { Credential::Absent } else { Credential::Key(Secret::new(marked(key))) };
        self.incoming(Incoming { method: call.method(), credential, body: Body::Call(call) })
    }

    pub(crate) fn incoming(&mut self, incoming: Incoming) -> Vec<String> {
        self.core.handle_call(incoming, self.now);
        self.drain()
    }

    pub(crate) fn wait(&mut self, milliseconds: u64) -> Vec<String> {
        self.now += Duration::from_millis(milliseconds);
        self.core.handle_timeout(self.now);
        self.drain()
    }

    /// Ends the transaction that is open longest.
    pub(crate) fn end(&mut self, outcome: Result<(), StoreFailed>) -> Vec<String> {
        let (id, changes) = self.open.pop_front().expect("a transaction is open");
        if outcome.is_ok() {
            self.tables.apply(&changes);
        }
        self.core.handle_stored(id, outcome, self.now);
        self.drain()
    }

    pub(crate) fn succeed(&mut self) -> Vec<String> {
        self.end(Ok(()))
    }

    pub(crate) fn fail(&mut self) -> Vec<String> {
        self.end(Err(StoreFailed))
    }

    pub(crate) fn node(&self, number: i64) -> &NodeRecord {
        self.core.node(&node(number)).unwrap()
    }

    /// Returns all outputs, making transactions as they come.
    pub(crate) fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(output) = self.core.poll_output() {
            assert_no_secret(&format!("{output:?}"), "an output");
            lines.push(line(&output));
            match output {
                Output::Store { id, changes } if self.stores => {
                    self.tables.apply(&changes);
                    self.core.handle_stored(id, Ok(()), self.now);
                }
                Output::Store { id, changes } => self.open.push_back((id, changes)),
                Output::Reply { id, outcome: Ok(reply) } => self.replies.push((id, reply)),
                _ => {}
            }
        }
        assert_no_secret(&format!("{:?}", self.core), "Core");
        lines
    }
}

fn tables() -> Tables {
    let mut tables = Tables::default();
    for number in 1..=2 {
        let key = KeyDigest::of(&Secret::new(marked(number)));
        let Call::Register(registration) = register(0) else { unreachable!() };
        let mut record = NodeRecord::new(node(number as i64), key, &registration);
        if number == 1 {
            record.node_status = NodeStatus::ONLINE;
            record.sync_status = SyncStatus::SYNCED;
            record.revision = Some(Revision::MIN);
        }
        tables.apply(&[Change::Node(Arc::new(record))]);
    }
    let code = CodeDigest::of(&Secret::new(marked(CODE)));
    tables.apply(&[Change::CodeAdded { code, expires: None }]);
    let directory = &mut tables.directory;
    for number in [12, 13, 14] {
        directory.add_user(user(number));
    }
    directory.add_subscription(subscription(300), user(12));
    directory.add_subscription(subscription(301), user(13));
    for (number, owner) in [(6, 1), (7, 1), (8, 2)] {
        directory.add_inbound(inbound(number), node(owner));
    }
    for (owner, tag) in [(1, "direct"), (1, "warp"), (2, "direct")] {
        directory.add_outbound(node(owner), tag);
    }
    tables
}

/// Returns what an output is about, keys left out.
fn line(output: &Output) -> String {
    match output {
        Output::Reply { outcome: Ok(reply), .. } => match reply {
            Reply::Registered(registered) => format!("reply: node {}", registered.node_id),
            Reply::Heartbeat(reply) if reply.need_sync => "reply: ok, sync".into(),
            Reply::Heartbeat(_) | Reply::Acknowledged(_) => "reply: ok".into(),
            Reply::Config(reply) => format!("reply: revision {}", reply.config.revision()),
        },
        Output::Reply { outcome: Err(refusal), .. } => format!("refused: {refusal}"),
        Output::Store { changes, .. } => {
            format!("store: {}", changes.iter().map(change).collect::<Vec<_>>().join("; "))
        }
        Output::SetOnline { key, lifetime } => format!("{key} for {lifetime:?}"),
        Output::Query { query, .. } => format!("query: {query:?}"),
        Output::Request { request, .. } => format!("request: {} {}", request.method(), request.uri()),
        Output::Cancel(_) => "cancel".into(),
        Output::Event(event) => format!("event: {}", self::event(event)),
    }
}

fn change(change: &Change) -> String {
    match change {
        Change::Node(node) => format!("node {} {} {}", node.id, node.node_status, node.sync_status),
        Change::NodeRemoved(node) => format!("no node {node}"),
        Change::CodeAdded { .. } => "code".into(),
        Change::CodeRemoved(_) => "no code".into(),
        Change::CodeUsed(_) => "code used".into(),
        Change::Usage(key, traffic) => {
            let subscription = key.subscription_id.map_or("-".into(), |id| id.to_string());
            let owner = format!("{}/{}/{subscription}/{}", key.node_id, key.user_id, key.node_protocol_id);
            format!("usage {owner} {} {}", key.minute, self::traffic(traffic))
        }
        Change::Batch { .. } => "batch".into(),
        Change::BatchForgotten { .. } => "no batch".into(),
        Change::Outbound { node, tag, traffic } => {
            format!("outbound {node}/{tag} {}", self::traffic(traffic))
        }
        Change::Session { event, .. } => format!("user {} {}", event.user_id, event.event_type),
        Change::Address { user, ip, seen } => format!("user {user} at {ip} {seen}"),
        Change::AddressInfo { ip, info, .. } => format!("about {ip} {}", info.text()),
        Change::Published { config, .. } => format!("revision {}", config.revision()),
        _ => "?".into(),
    }
}

fn traffic(traffic: &Traffic) -> String {
    format!("{}+{}", traffic.bytes_up, traffic.bytes_down)
}

fn event(event: &Event) -> String {
    match event {
        Event::NodeRegistered { node } => format!("node {node} registered"),
        Event::RegistrationRefused { .. } => "registration refused".into(),
        Event::Unauthorized { method, .. } => format!("{method:?} unauthorized"),
        Event::NodeRemoved { node } => format!("node {node} removed"),
        Event::NodeStatusChanged { node, status } => format!("node {node} is {status}"),
        Event::SyncStatusChanged { node, status } => format!("configuration of node {node} is {status}"),
        Event::NodeError { node, error } => format!("node {node} says {}", error.message),
        Event::Ahead { node, revision, current } => format!("node {node} has {revision}, not {current}"),
        Event::UserOnline { user, at } => format!("user {user} online {at}"),
        Event::Stats { node, .. } => format!("statistics of node {node}"),
        Event::Skipped { node, method, count } => format!("{count} of {method:?} of node {node} skipped"),
        Event::Replayed { node } => format!("replay of node {node}"),
        Event::Published { revision } => format!("revision {revision} published"),
        Event::NotPublished { revision } => format!("revision {revision} not published"),
        Event::RuntimeStatus { node, outcome: Ok(_), .. } => format!("node {node} answered"),
        Event::RuntimeStatus { node, outcome: Err(failure), .. } => format!("node {node}: {}", failure.kind),
        Event::Enriched(report) => format!("{:?} run, {} stored", report.job, report.stored),
        Event::Stored { .. } => "stored".into(),
        Event::NotStored { .. } => "not stored".into(),
        _ => "?".into(),
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn node(number: i64) -> NodeId {
    NodeId::new(number).unwrap()
}

pub(crate) fn user(number: i64) -> UserId {
    UserId::new(number).unwrap()
}

pub(crate) fn subscription(number: i64) -> SubscriptionId {
    SubscriptionId::new(number).unwrap()
}

pub(crate) fn inbound(number: i64) -> NodeProtocolId {
    NodeProtocolId::new(number).unwrap()
}

pub(crate) fn revision(number: i64) -> Revision {
    Revision::new(number).unwrap()
}

pub(crate) fn register(code: u64) -> Call {
    Call::Register(Register {
        code: Secret::new(marked(code)),
        name: "fra-1".into(),
        ip: "203.0.113.7".parse().unwrap(),
        port: 3100.try_into().unwrap(),
        region: "eu-central".into(),
        domain: None,
    })
}

pub(crate) fn heartbeat(number: impl Into<Option<i64>>) -> Call {
    Call::Heartbeat(Heartbeat { ip: None, revision: number.into().map(revision) })
}

pub(crate) fn applied(number: i64) -> Call {
    Call::ConfirmConfigApplied(ConfigApplied { revision: revision(number) })
}

pub(crate) fn error(message: &str) -> Call {
    Call::ReportError(NodeError { message: message.into(), code: None, details: None })
}

/// Returns an entry of user 12 with its subscription at inbound 6.
pub(crate) fn entry(bytes_up: u64, bytes_down: u64, recorded_at: &str) -> UsageEntry {
    UsageEntry {
        user_id: user(12),
        subscription_id: Some(subscription(300)),
        node_protocol_id: inbound(6),
        bytes_up: ByteCount::new(bytes_up).unwrap(),
        bytes_down: ByteCount::new(bytes_down).unwrap(),
        recorded_at: at(recorded_at),
    }
}

pub(crate) fn usage(entries: &[UsageEntry]) -> Call {
    Call::ReportUsage(Usage { entries: entries.to_vec() })
}

/// Returns a report of one user at one inbound.
pub(crate) fn online(number: i64, through: i64, ips: &[(&str, Option<&str>)]) -> Call {
    let ips = ips.iter().map(|(ip, seen)| OnlineIp { ip: ip.parse().unwrap(), last_seen: seen.map(at) });
    let user = OnlineUser { user_id: user(number), node_protocol_id: inbound(through), ips: ips.collect() };
    Call::ReportOnlineUsers(OnlineUsers { users: vec![user], unreadable: 0 })
}
