//! Proxies that count what their users send and receive.

use core_node_proto::agent::{Proxy, ProxyCounters, Traffic};
use core_node_proto::config::{Client, ClientMap, MtprotoClientMap, NodeConfig, Services};
use core_node_proto::value::{LsId, Revision, UserId};
use std::collections::BTreeMap;
use std::time::Duration;

const PROXY: Proxy = Proxy::Xray;
pub(crate) const OUTBOUND: &str = "direct";
pub(crate) const USERS: [i64; 3] = [12, 13, 14];

/// One proxy, which was started before the agent and outlives it.
#[derive(Default)]
pub(crate) struct Proxies {
    users: BTreeMap<Box<str>, Traffic>,
    outbound: Traffic,
    served: Vec<Box<str>>,
    /// Whether nobody sends anything any more.
    pub(crate) is_idle: bool,
}

/// Returns a configuration for some of the users, one link each.
pub(crate) fn config(random: &mut fastrand::Rng) -> NodeConfig {
    let mut map = ClientMap::default();
    for user in USERS.into_iter().filter(|_| random.u32(..4) != 0) {
        let client = Client { user_id: UserId::new(user).unwrap(), subscription_id: None };
        map.insert(LsId::new(100 + user).unwrap(), client);
    }
    let services = Services::from_json(r#"{"xray":{"inbounds":[]}}"#).unwrap();
    NodeConfig::new(Revision::MIN, map, MtprotoClientMap::default(), services)
}

impl Proxies {
    /// Serves the users of a configuration from now on. What is counted stays.
    pub(crate) fn serve(&mut self, config: &NodeConfig) {
        let name = |ls_id: LsId, client: Client| format!("u{}.l1.s{ls_id}.i6", client.user_id).into();
        self.served = config.client_map().iter().map(|(ls_id, client)| name(ls_id, client)).collect();
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.served.iter().map(|name| &**name)
    }

    /// Returns what the counters show, after the users have sent something.
    pub(crate) fn sample(&mut self, _elapsed: Duration, random: &mut fastrand::Rng) -> ProxyCounters {
        if !self.is_idle {
            for name in &self.served {
                let more = Traffic { up: random.u64(..1_000), down: random.u64(..1_000_000) };
                let traffic = self.users.entry(name.clone()).or_default();
                *traffic = traffic.plus(more);
                self.outbound = self.outbound.plus(more);
            }
        }
        let started_at = "2030-01-01T00:00:00.000Z".parse().unwrap();
        let mut sample = ProxyCounters::new(PROXY, started_at, true);
        sample.users.clone_from(&self.users);
        sample.outbounds.insert(OUTBOUND.into(), self.outbound);
        sample
    }

    /// Returns what went through the outbound.
    pub(crate) fn shown_outbound(&self) -> Traffic {
        self.outbound
    }

    /// Returns all that was counted of users.
    pub(crate) fn shown(&self) -> Traffic {
        self.users.values().fold(Traffic::default(), |sum, traffic| sum.plus(*traffic))
    }
}
