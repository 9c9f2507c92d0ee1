//! Proxies that are not there: the users of a configuration, some of them busy.

use core_node_proto::agent::{Counters, Proxy, ProxyCounters, Seen, Traffic};
use core_node_proto::config::NodeConfig;
use core_node_proto::value::{Address, Timestamp};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The most bytes that a counter grows by at once.
const STEP: u64 = 100_000;

/// Counts for both proxies of a configuration. The same seed counts the same.
#[derive(Debug)]
pub struct Simulated {
    started_at: Timestamp,
    random: fastrand::Rng,
    xray: BTreeMap<Box<str>, Traffic>,
    mtproto: BTreeMap<Box<str>, Traffic>,
    outbounds: BTreeMap<Box<str>, Traffic>,
}

impl Simulated {
    /// Starts proxies without users.
    #[must_use]
    pub fn new(seed: u64, started_at: Timestamp) -> Self {
        Self {
            started_at,
            random: fastrand::Rng::with_seed(seed),
            xray: BTreeMap::new(),
            mtproto: BTreeMap::new(),
            outbounds: BTreeMap::new(),
        }
    }

    /// Takes the users and outbounds of a configuration. Counters of those that stay go on; the others vanish.
    pub fn configure(&mut self, config: &NodeConfig) {
        let services = config.services();
        let inbounds = services.xray().map(|xray| xray.inbounds()).unwrap_or_default();
        keep(&mut self.xray, inbounds.into_iter().flat_map(|inbound| inbound.client_emails));
        let tags = services.xray().map(|xray| xray.outbound_tags()).unwrap_or_default();
        keep(&mut self.outbounds, tags);
        keep(
            &mut self.mtproto,
            services.mtproto().map(|mtproto| user_names(mtproto.json())).unwrap_or_default(),
        );
    }

    /// Lets some of the users send and receive, and returns what was counted so far.
    pub fn sample(&mut self) -> Counters {
        let through = grow(&mut self.xray, &mut self.random);
        grow(&mut self.mtproto, &mut self.random);
        // All that users of Xray send leaves by its first outbound.
        if let Some(outbound) = self.outbounds.values_mut().next() {
            *outbound = outbound.plus(through);
        }
        let sample = |proxy, users: &BTreeMap<_, _>, outbounds: &BTreeMap<_, _>| ProxyCounters {
            users: users.clone(),
            outbounds: outbounds.clone(),
            ..ProxyCounters::new(proxy, self.started_at, true)
        };
        let xray = sample(Proxy::Xray, &self.xray, &self.outbounds);
        Counters { proxies: vec![xray, sample(Proxy::Mtproto, &self.mtproto, &BTreeMap::new())] }
    }

    /// Returns some of the users as connected, each from an address of its own.
    pub fn online(&mut self) -> Vec<Seen> {
        let names = self.xray.keys().chain(self.mtproto.keys());
        let mut seen = Vec::new();
        for (number, name) in (1_u32..).zip(names) {
            if self.random.u8(..) < 192 {
                // The addresses of examples, so that nobody is asked about them.
                let ip = Ipv4Addr::from_bits(0xC633_6400 | (number & 0xFF));
                seen.push(Seen {
                    name: name.clone(),
                    ip: Some(Address::from(std::net::IpAddr::V4(ip))),
                    last_seen: None,
                });
            }
        }
        seen
    }
}

fn keep(counters: &mut BTreeMap<Box<str>, Traffic>, names: impl IntoIterator<Item = String>) {
    let mut before = std::mem::take(counters);
    for name in names {
        let name = name.into_boxed_str();
        let traffic = before.remove(&name).unwrap_or_default();
        counters.insert(name, traffic);
    }
}

/// Makes about half of the counters grow; returns by how much in all.
fn grow(counters: &mut BTreeMap<Box<str>, Traffic>, random: &mut fastrand::Rng) -> Traffic {
    let mut sum = Traffic::default();
    for traffic in counters.values_mut() {
        if random.bool() {
            let more = Traffic { up: random.u64(1..=STEP / 10), down: random.u64(1..=STEP) };
            *traffic = traffic.plus(more);
            sum = sum.plus(more);
        }
    }
    sum
}

/// Returns the names of the users of all MTProto inbounds.
fn user_names(mtproto: &str) -> Vec<String> {
    let service: serde_json::Value = serde_json::from_str(mtproto).unwrap_or_default();
    let list = |value: &serde_json::Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let users = list(&service, "inbounds").into_iter().flat_map(|inbound| list(&inbound, "users"));
    users.filter_map(|user| user["username"].as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use core_node_proto::attribution::Identity;

    const CONFIG: &str = r#"{"revision":5,"clientMap":{"45":{"userId":12,"subscriptionId":300}},"mtprotoClientMap":{},
        "services":{"xray":{"inbounds":[{"tag":"vless-443","settings":{"clients":[{"email":"u12.l3.s45.i6"}]}}],
        "outbounds":[{"tag":"direct"},{"tag":"warp"}]},
        "mtproto":{"inbounds":[{"tag":"mt","users":[{"username":"u12.l3.s45.i7"},{}]}]}}}"#;

    fn simulated() -> Simulated {
        let mut simulated = Simulated::new(1, "2030-01-02T03:04:05Z".parse().unwrap());
        simulated.configure(&NodeConfig::from_json(CONFIG.as_bytes()).unwrap().config);
        simulated
    }

    #[test]
    fn counters_of_the_configured_users_rise_and_never_fall() {
        let mut simulated = simulated();
        let mut last = simulated.sample();
        for _ in 0..20 {
            let now = simulated.sample();
            for (now, last) in now.proxies.iter().zip(&last.proxies) {
                assert!(now.users.iter().all(|(name, traffic)| *traffic >= last.users[name]));
            }
            last = now;
        }
        let [xray, mtproto] = &last.proxies[..] else { panic!("two proxies") };
        assert!(xray.users["u12.l3.s45.i6"].up > 0 && mtproto.users["u12.l3.s45.i7"].down > 0);
        assert_eq!(xray.outbounds["direct"], xray.users["u12.l3.s45.i6"]);
        assert!(mtproto.outbounds.is_empty());
    }

    #[test]
    fn the_same_seed_counts_the_same_and_a_new_configuration_goes_on() {
        let (mut one, mut other) = (simulated(), simulated());
        for _ in 0..5 {
            assert_eq!(one.sample(), other.sample());
        }
        let before = one.xray.clone();
        one.configure(&NodeConfig::from_json(CONFIG.as_bytes()).unwrap().config);
        assert_eq!(one.xray, before);
        one.configure(
            &NodeConfig::from_json(br#"{"revision":6,"clientMap":{},"services":{}}"#).unwrap().config,
        );
        assert!(one.xray.is_empty() && one.mtproto.is_empty() && one.outbounds.is_empty());
    }

    #[test]
    fn connected_users_have_names_that_can_be_attributed() {
        let mut simulated = simulated();
        let seen: Vec<_> = (0..20).flat_map(|_| simulated.online()).collect();
        assert!(!seen.is_empty());
        assert!(seen.iter().all(|seen| seen.name.parse::<Identity>().is_ok() && seen.ip.is_some()));
    }
}
