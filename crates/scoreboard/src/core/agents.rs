//! How many agents one core carries in real time: a crowd lives on a virtual clock with the periods of the protocol, every
//! call written as the message of its gRPC method and answered at once.

use core_node_proto::agent::{
    Agent, Config, Counters, Output, ProxyCounters, Restored, Sampling, Seen, Traffic,
};
use core_node_proto::call::{Call, ConfigReply, KeyPlacement, Reply};
use core_node_proto::config::{Client, ClientMap, MtprotoClientMap, NodeConfig, Services};
use core_node_proto::message::{Acknowledgement, HeartbeatReply, NodeStats, Registered, SystemStats};
use core_node_proto::value::{LsId, NodeId, Revision, Timestamp, UserId};
use core_node_proto::{Instant, Secret, grpc};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

const CROWD: usize = 500;
const USERS: u32 = 3;
/// Registration and the first configuration are over by then.
const WARM_UP: Duration = Duration::from_secs(120);
const MEASURED: Duration = Duration::from_secs(240);

/// Returns the number of agents whose lives take as long to live through as they last.
pub(crate) fn carried() -> f64 {
    let begin = Instant::now();
    let mut crowd = Crowd::new(begin);
    crowd.live_until(begin + WARM_UP);
    let start = Instant::now();
    crowd.live_until(begin + WARM_UP + MEASURED);
    assert!(crowd.calls > 40 * CROWD as u64, "agents that do nothing are quickly carried");
    CROWD as f64 * MEASURED.as_secs_f64() / start.elapsed().as_secs_f64()
}

struct Crowd {
    agents: Vec<Agent>,
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    config: Arc<NodeConfig>,
    begin: Instant,
    calls: u64,
}

impl Crowd {
    fn new(begin: Instant) -> Self {
        let agents: Vec<_> = (0..CROWD).map(|number| agent(number, begin)).collect();
        let due = (0..CROWD).map(|number| Reverse((begin, number))).collect();
        Self { agents, due, config: Arc::new(node_config()), begin, calls: 0 }
    }

    fn live_until(&mut self, end: Instant) {
        while let Some(&Reverse((now, number))) = self.due.peek().filter(|due| due.0.0 < end) {
            self.due.pop();
            self.agents[number].handle_timeout(now);
            while let Some(output) = self.agents[number].poll_output() {
                self.carry_out(number, output, now);
            }
            self.due.extend(self.agents[number].poll_timeout().map(|next| Reverse((next, number))));
        }
    }

    fn carry_out(&mut self, number: usize, output: Output, now: Instant) {
        let agent = &mut self.agents[number];
        match output {
            Output::Call { id, call, key, .. } => {
                self.calls += 1;
                black_box(grpc::request(&call, key.as_ref(), KeyPlacement::Metadata));
                agent.handle_reply(id, reply(&call, &self.config), now);
            }
            Output::Store { id, .. } => agent.handle_stored(id, Ok(()), now),
            Output::Apply { id, .. } => agent.handle_applied(id, Ok(()), now),
            Output::Sample(Sampling::Counters) => {
                agent.handle_counters(counters(now.duration_since(self.begin)), now);
            }
            Output::Sample(Sampling::Stats) => agent.handle_stats(stats(), now),
            Output::Sample(Sampling::Online) => agent.handle_online(&online(), now),
            Output::Cancel(_) | Output::Event(_) => {}
        }
    }
}

fn agent(number: usize, now: Instant) -> Agent {
    let ip = "203.0.113.7".parse().expect("an address");
    let mut config = Config::new(format!("node-{number}"), ip, NonZeroU16::MIN, "eu-central");
    config.code = Some(Secret::new("CODE"));
    config.seed = number as u64;
    let wall_clock: Timestamp = "2030-01-02T03:04:05Z".parse().expect("an instant");
    Agent::new(config, Restored::Nothing, wall_clock, now).expect("usual settings")
}

fn name(user: u32) -> Box<str> {
    format!("u{user}.l1.s{user}.i6").into()
}

fn node_config() -> NodeConfig {
    let client = |user: u32| {
        let user_id = UserId::new(user.into()).expect("an id");
        (LsId::new(user.into()).expect("an id"), Client { user_id, subscription_id: None })
    };
    let map: ClientMap = (1..=USERS).map(client).collect();
    let revision = Revision::new(5).expect("a revision");
    NodeConfig::new(revision, map, MtprotoClientMap::default(), Services::default())
}

fn counters(elapsed: Duration) -> Counters {
    let started_at = "2030-01-01T00:00:00Z".parse().expect("an instant");
    let mut sample = ProxyCounters::new(core_node_proto::agent::Proxy::Xray, started_at, true);
    let traffic = Traffic { up: elapsed.as_millis() as u64, down: 9 * elapsed.as_millis() as u64 };
    sample.users = (1..=USERS).map(|user| (name(user), traffic)).collect();
    sample.outbounds = [("direct".into(), traffic)].into();
    Counters { proxies: vec![sample] }
}

fn stats() -> NodeStats {
    let system =
        SystemStats { cpu_percent: 12.5, cpu_cores: 8, uptime_seconds: 1_000, ..SystemStats::default() };
    NodeStats { system: Some(system), ..NodeStats::default() }
}

fn online() -> Vec<Seen> {
    let ip = "192.0.2.44".parse().ok();
    (1..=USERS).map(|user| Seen { name: name(user), ip, last_seen: None }).collect()
}

fn reply(call: &Call, config: &Arc<NodeConfig>) -> Reply {
    match call {
        Call::Register(_) => Reply::Registered(Registered {
            auth_key: Secret::new("key-1"),
            node_id: NodeId::new(1).expect("an id"),
        }),
        Call::Heartbeat(heartbeat) => {
            Reply::Heartbeat(HeartbeatReply { ok: true, need_sync: heartbeat.revision.is_none() })
        }
        Call::GetLatestConfig => {
            Reply::Config(ConfigReply { config: Arc::clone(config), warnings: Vec::new() })
        }
        _ => Reply::Acknowledged(Acknowledgement { ok: true }),
    }
}
