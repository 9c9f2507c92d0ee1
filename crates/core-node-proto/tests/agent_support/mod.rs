//! What the tests of the agent share: an agent with the ids of what it has asked for, and its outputs as short lines.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use core_node_proto::agent::{
    Agent, ApplyId, CallId, Config, Counters, Event, Output, Proxy, ProxyCounters, Restored, Sampling,
    Snapshot, StoreId, Traffic,
};
use core_node_proto::call::{Call, ConfigReply, Delivery, Failure, FailureKind, GrpcCode, Link, Reply};
use core_node_proto::config::NodeConfig;
use core_node_proto::message::{Acknowledgement, HeartbeatReply, Registered, UsageEntry};
use core_node_proto::value::{NodeId, Timestamp};
use core_node_proto::{Method, Secret, StoreFailed};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use testkit::{Instant, Machine, forward_machine};

pub(crate) use testkit::epoch;

pub(crate) struct TestAgent(pub(crate) Agent);
forward_machine!(TestAgent, Output);

/// The wall clock at the start: two seconds after a whole minute.
pub(crate) const START: &str = "2030-01-02T03:04:02.000Z";
pub(crate) const USER: &str = "u12.l3.s45.i6";

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Settings without chance where they allow it.
pub(crate) fn config() -> Config {
    let mut config =
        Config::new("fra-1", "203.0.113.7".parse().unwrap(), 3100.try_into().unwrap(), "eu-central");
    config.usage_spread = Duration::ZERO;
    config
}

/// A snapshot of a registered node that runs on a revision.
pub(crate) fn registered(revision: u32) -> Snapshot {
    let config = node_config(revision).to_json();
    Snapshot::from_json(
        format!(r#"{{"version":1,"authKey":"key-1","nodeId":"1","config":{config}}}"#).as_bytes(),
    )
    .unwrap()
}

pub(crate) fn node_config(revision: u32) -> NodeConfig {
    let json = format!(
        r#"{{"revision":{revision},"clientMap":{{"45":{{"userId":12,"subscriptionId":300}},
            "46":{{"userId":13,"subscriptionId":null}}}},"services":{{"xray":{{"inbounds":[]}}}}}}"#
    );
    NodeConfig::from_json(json.as_bytes()).unwrap().config
}

pub(crate) fn config_reply(revision: u32) -> Reply {
    Reply::Config(ConfigReply { config: Arc::new(node_config(revision)), warnings: Vec::new() })
}

pub(crate) fn heartbeat_reply(need_sync: bool) -> Reply {
    Reply::Heartbeat(HeartbeatReply { ok: true, need_sync })
}

pub(crate) fn acknowledged(ok: bool) -> Reply {
    Reply::Acknowledged(Acknowledgement { ok })
}

pub(crate) fn key_reply(key: &str) -> Reply {
    Reply::Registered(Registered { auth_key: Secret::new(key), node_id: NodeId::new(3).unwrap() })
}

pub(crate) fn code(code: GrpcCode) -> Failure {
    Failure::answered(FailureKind::Grpc(code))
}

pub(crate) fn status(status: u16) -> Failure {
    Failure::answered(FailureKind::Http(status))
}

pub(crate) fn refused() -> Failure {
    Failure::new(Delivery::No, FailureKind::Refused)
}

pub(crate) fn lost() -> Failure {
    Failure::new(Delivery::Perhaps, FailureKind::ConnectionLost)
}

/// A sample of an Xray that the agent has started.
pub(crate) fn xray(users: &[(&str, u64, u64)]) -> Counters {
    let mut sample = ProxyCounters::new(Proxy::Xray, at("2030-01-02T03:00:00Z"), true);
    sample.users = users.iter().map(|&(name, up, down)| (name.into(), Traffic { up, down })).collect();
    Counters { proxies: vec![sample] }
}

/// A driver that a test moves by hand.
pub(crate) struct Node {
    pub(crate) agent: TestAgent,
    pub(crate) now: Instant,
    /// Stores succeed at once and are no lines.
    pub(crate) stores: bool,
    /// Reports that come all the time are answered at once and are no lines: heartbeats, statistics, online users.
    pub(crate) is_quiet: bool,
    pub(crate) calls: BTreeMap<Method, (CallId, Link, Call, Option<Secret>)>,
    pub(crate) store: Option<(StoreId, Snapshot)>,
    pub(crate) stored: Option<Snapshot>,
    pub(crate) apply: Option<ApplyId>,
}

impl Node {
    pub(crate) fn start(config: Config, restored: Restored) -> Self {
        Self::start_at(config, restored, START, epoch())
    }

    pub(crate) fn start_at(config: Config, restored: Restored, wall_clock: &str, now: Instant) -> Self {
        let stored = match &restored {
            Restored::Snapshot(snapshot) => Some((**snapshot).clone()),
            Restored::Nothing | Restored::Broken => None,
        };
        Self {
            agent: TestAgent(Agent::new(config, restored, at(wall_clock), now).unwrap()),
            now,
            stores: true,
            is_quiet: false,
            calls: BTreeMap::new(),
            store: None,
            stored,
            apply: None,
        }
    }

    /// A registered node on revision 5 whose heartbeat was answered and whose periodic reports are no lines.
    pub(crate) fn active() -> Self {
        Self::active_with(config())
    }

    pub(crate) fn active_with(config: Config) -> Self {
        let mut node = Self::start(config, Restored::Snapshot(Box::new(registered(5))));
        node.is_quiet = true;
        assert_eq!(node.lines(), ["event Active"]);
        node
    }

    /// The same after a crash: with what was stored, on a new clock.
    pub(crate) fn restart(&self, config: Config, wall_clock: &str) -> Self {
        let stored = self.stored.as_ref().map(|snapshot| snapshot.to_json());
        let mut node = Self::start_at(config, Restored::from_json(stored.as_deref()), wall_clock, self.now);
        node.is_quiet = self.is_quiet;
        node
    }

    /// Takes all outputs.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(output) = self.agent.poll_output() {
            lines.extend(self.take(output));
        }
        lines
    }

    fn take(&mut self, output: Output) -> Option<String> {
        match output {
            Output::Call { id, link, call, key, .. } => {
                let method = call.method();
                if self.is_quiet && link == Link::Grpc && method == Method::Heartbeat {
                    self.agent.0.handle_reply(id, heartbeat_reply(false), self.now);
                    return None;
                }
                let line =
                    format!("{} {method:?}{}", if link == Link::Grpc { "grpc" } else { "http" }, said(&call));
                self.calls.insert(method, (id, link, call, key));
                Some(line)
            }
            Output::Cancel(id) => {
                let known = self.calls.iter().find(|(_, call)| call.0 == id).map(|(&method, _)| method);
                Some(format!("cancel {:?}", known.unwrap()))
            }
            Output::Store { id, snapshot } => {
                self.store = Some((id, snapshot));
                if !self.stores {
                    return Some("store".to_owned());
                }
                self.store_ok();
                None
            }
            Output::Sample(Sampling::Stats | Sampling::Online) if self.is_quiet => None,
            Output::Sample(sampling) => Some(format!("sample {sampling:?}")),
            Output::Apply { id, config } => {
                self.apply = Some(id);
                Some(format!("apply {}", config.revision()))
            }
            Output::Event(event) => Some(event_line(&event)),
        }
    }

    /// Lets time pass as a faithful driver does.
    pub(crate) fn wait(&mut self, wait: Duration) -> Vec<String> {
        let end = self.now + wait;
        let mut lines = self.lines();
        while let Some(due) = self.agent.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.agent.handle_timeout(self.now);
            lines.extend(self.lines());
        }
        self.now = end;
        lines
    }

    pub(crate) fn reply(&mut self, method: Method, reply: Reply) -> Vec<String> {
        let (id, ..) = self.calls.remove(&method).unwrap();
        self.agent.0.handle_reply(id, reply, self.now);
        self.lines()
    }

    pub(crate) fn ok(&mut self, method: Method) -> Vec<String> {
        self.reply(method, acknowledged(true))
    }

    pub(crate) fn fail(&mut self, method: Method, failure: Failure) -> Vec<String> {
        let (id, ..) = self.calls.remove(&method).unwrap();
        self.agent.0.handle_failure(id, failure, self.now);
        self.lines()
    }

    pub(crate) fn store_ok(&mut self) {
        let (id, snapshot) = self.store.take().unwrap();
        self.stored = Some(snapshot);
        self.agent.0.handle_stored(id, Ok(()), self.now);
    }

    pub(crate) fn stored(&mut self) -> Vec<String> {
        self.store_ok();
        self.lines()
    }

    pub(crate) fn store_fails(&mut self) -> Vec<String> {
        let (id, _) = self.store.take().unwrap();
        self.agent.0.handle_stored(id, Err(StoreFailed), self.now);
        self.lines()
    }

    pub(crate) fn counters(&mut self, counters: Counters) -> Vec<String> {
        self.agent.0.handle_counters(counters, self.now);
        self.lines()
    }

    pub(crate) fn applied(&mut self) -> Vec<String> {
        self.agent.0.handle_applied(self.apply.take().unwrap(), Ok(()), self.now);
        self.lines()
    }

    /// Returns the entries of the usage call under way as (user, subscription, up, down, instant).
    pub(crate) fn entries(&self) -> Vec<UsageEntry> {
        match &self.calls[&Method::ReportUsage].2 {
            Call::ReportUsage(usage) => usage.entries.clone(),
            other => panic!("{other:?}"),
        }
    }
}

/// What is worth a word in a line.
fn said(call: &Call) -> String {
    match call {
        Call::Heartbeat(heartbeat) => {
            heartbeat.revision.map_or_else(String::new, |revision| format!(" of {revision}"))
        }
        Call::ConfirmConfigApplied(applied) => format!(" {}", applied.revision),
        Call::ReportError(error) => format!(" {}", error.code.as_deref().unwrap_or("-")),
        Call::ReportSessionEvents(events) => format!(" {}", events.events.len()),
        Call::ReportUsage(usage) => {
            format!(" {}", usage.entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Call::ReportOutboundUsage(usage) => {
            let items =
                usage.items.iter().map(|item| format!("{} {}+{}", item.tag, item.bytes_up, item.bytes_down));
            format!(" {}", items.collect::<Vec<_>>().join(", "))
        }
        Call::ReportOnlineUsers(online) => format!(" {}", online.users.len()),
        Call::Register(_) | Call::GetLatestConfig | Call::ReportNodeStats(_) => String::new(),
    }
}

/// An entry as user, bytes, minutes and what is below.
pub(crate) fn entry(entry: &UsageEntry) -> String {
    let at = entry.recorded_at.to_string();
    format!("u{} {}+{} at {}", entry.user_id, entry.bytes_up, entry.bytes_down, &at[14..23])
}

pub(crate) fn event_line(event: &Event) -> String {
    format!("event {event:?}")
}
