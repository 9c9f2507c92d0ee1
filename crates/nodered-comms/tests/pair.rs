//! Both roles on a virtual clock and a virtual network.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use http::{Response, StatusCode};
use nodered_comms::client::{self, Client, Credentials, Event, State};
use nodered_comms::runtime::{self, Access, Runtime, Scope, User};
use nodered_comms::{Instant, Secret};
use std::collections::BTreeMap;
use support::{ClientNews, RuntimeNews, TestClient, TestRuntime, epoch, filter, json, millis, seconds};
use testkit::hub::{HubNetwork, HubNews};
use testkit::network::Conditions;

/// A network with what a real one has beside the sockets: the admin API, and sessions.
struct World {
    network: HubNetwork<TestClient, TestRuntime>,
    is_open: bool,
    life: Option<std::time::Duration>,
    sessions: BTreeMap<String, u32>,
    logins: u32,
}

impl World {
    fn new(access: Access, conditions: Conditions) -> Self {
        let is_open = access == Access::Open;
        let runtime = Runtime::new(runtime::Config::new(access, 1.0), epoch()).unwrap();
        let network = HubNetwork::new(TestRuntime(runtime), epoch(), conditions, 5);
        Self { network, is_open, life: None, sessions: BTreeMap::new(), logins: 0 }
    }

    fn add_client(&mut self, credentials: Credentials) -> usize {
        let mut config = client::Config::new("ws://h/comms".parse().unwrap());
        config.credentials = credentials;
        self.network.add_client(TestClient(Client::new(config, self.network.now()).unwrap()))
    }

    fn run_until(&mut self, end: Instant) {
        let Self { network, is_open, life, sessions, logins } = self;
        network.run_until_with(end, |network, news| {
            let now = network.now();
            match news {
                HubNews::Client { client, event: ClientNews::Request(id, request) } => {
                    let body = match request.uri().path() {
                        "/auth/login" if *is_open => "{}".to_owned(),
                        "/auth/login" => "{\"type\":\"credentials\"}".to_owned(),
                        _ => {
                            *logins += 1;
                            sessions.insert(format!("token-{logins}"), *logins);
                            format!("{{\"access_token\":\"token-{logins}\"}}")
                        }
                    };
                    let mut response = Response::new(body.into());
                    *response.status_mut() = StatusCode::OK;
                    network.clients[client].0.handle_response(*id, response, now);
                }
                HubNews::Hub(RuntimeNews::LookUp(id, token)) if sessions.contains_key(token.expose()) => {
                    let mut user = User::new("u", Scope::from("*"));
                    user.expires_in = *life;
                    network.hub.0.handle_user(*id, Some(user), now);
                }
                HubNews::Hub(RuntimeNews::LookUp(id, _)) => network.hub.0.handle_user(*id, None, now),
                _ => {}
            }
        });
    }

    fn messages(&self) -> Vec<(u128, String)> {
        let events = self.network.client_events.iter();
        let messages = events.filter_map(|(at, _, news)| match news {
            ClientNews::Event(Event::Message(message)) => Some((
                (*at - epoch()).as_millis(),
                format!("{} {}", message.topic, message.data().unwrap().text()),
            )),
            _ => None,
        });
        messages.collect()
    }

    fn count(&self, is_meant: impl Fn(&Event) -> bool) -> usize {
        let events = self.network.client_events.iter();
        events.filter(|(_, _, news)| matches!(news, ClientNews::Event(event) if is_meant(event))).count()
    }
}

#[test]
fn retained_messages_come_after_the_subscription_and_live_ones_after_them() {
    let conditions = Conditions { delay: millis(5), ..Conditions::default() };
    let mut world = World::new(Access::Open, conditions);
    world.network.hub.0.publish("status/n", json("{\"text\":\"on\"}").as_ref(), true, epoch()).unwrap();
    let client = world.add_client(Credentials::None);
    world.network.clients[client].0.subscribe(&filter("status/#"), epoch()).unwrap();
    world.run_until(epoch() + seconds(1));
    let now = world.network.now();
    world.network.hub.0.publish("status/m", json("{}").as_ref(), false, now).unwrap();
    world.network.hub.0.publish("other", json("1").as_ref(), false, now).unwrap();
    world.run_until(epoch() + seconds(2));
    let messages: Vec<String> = world.messages().into_iter().map(|(_, message)| message).collect();
    assert_eq!(messages, ["status/n {\"text\":\"on\"}", "status/m {}"]);
}

#[test]
fn heartbeats_keep_a_quiet_connection_for_hours() {
    let mut world = World::new(Access::Open, Conditions::default());
    world.add_client(Credentials::None);
    world.run_until(epoch() + seconds(3 * 3600));
    assert_eq!(world.network.dials.len(), 1);
    assert_eq!(world.count(|event| matches!(event, Event::Heartbeat { .. })), 719);
}

#[test]
fn a_dead_connection_is_noticed_and_the_retained_state_comes_again() {
    let mut world = World::new(Access::Open, Conditions::default());
    world.network.hub.0.publish("a", json("1").as_ref(), true, epoch()).unwrap();
    let client = world.add_client(Credentials::None);
    world.network.clients[client].0.subscribe(&filter("a"), epoch()).unwrap();
    world.run_until(epoch() + seconds(20));
    world.network.stall(0);
    world.run_until(epoch() + seconds(80));
    assert_eq!(world.messages().len(), 2);
    assert_eq!(world.network.dials.len(), 2);
}

#[test]
fn a_restarted_runtime_is_found_again_and_tells_so_by_its_heartbeat() {
    let mut world = World::new(Access::Open, Conditions::default());
    let client = world.add_client(Credentials::None);
    world.network.clients[client].0.subscribe(&filter("a"), epoch()).unwrap();
    world.run_until(epoch() + seconds(20));
    let mut runtime = Runtime::new(runtime::Config::new(Access::Open, 2.0), world.network.now()).unwrap();
    runtime.publish("a", json("2").as_ref(), true, world.network.now()).unwrap();
    world.network.replace_hub(TestRuntime(runtime));
    world.run_until(epoch() + seconds(60));
    assert_eq!(world.messages().len(), 1);
    assert_eq!(world.count(|event| matches!(event, Event::Heartbeat { changed: true, .. })), 1);
}

#[test]
fn an_expired_session_is_begun_anew_without_anybodys_help() {
    let mut world = World::new(Access::Users, Conditions::default());
    world.life = Some(seconds(60));
    let credentials = Credentials::Password { username: "u".into(), password: Secret::new("p") };
    let client = world.add_client(credentials);
    world.run_until(epoch() + seconds(600));
    assert_eq!(world.network.clients[client].0.state(), State::Ready);
    // One login for each 65 s: the session and the grace.
    assert_eq!(world.logins, 10);
    assert_eq!(world.count(|event| matches!(event, Event::LoginNeeded(_))), 0);
}

#[test]
fn clients_come_back_on_the_editors_schedule() {
    let mut world = World::new(Access::Open, Conditions::default());
    world.add_client(Credentials::None);
    world.run_until(epoch() + seconds(20));
    world.network.hub_down();
    world.run_until(epoch() + seconds(150));
    let dials: Vec<u64> = world.network.dials.iter().map(|(at, _, _)| (*at - epoch()).as_secs()).collect();
    let expected =
        [&[0][..], &[21, 22, 23, 24, 25, 26, 27, 28, 29], &[31, 33, 35, 37, 39, 41, 43, 45, 47, 49], &[109]];
    assert_eq!(dials, expected.concat());
    world.network.hub_up();
    world.run_until(epoch() + seconds(200));
    assert_eq!(world.network.clients[0].0.state(), State::Ready);
}

#[test]
fn a_lossy_network_loses_live_messages_and_no_state() {
    let conditions =
        Conditions { delay: millis(20), jitter: millis(30), loss_per_mille: 50, ..Conditions::default() };
    let mut world = World::new(Access::Open, conditions);
    let client = world.add_client(Credentials::None);
    world.network.clients[client].0.subscribe(&filter("state"), epoch()).unwrap();
    for n in 1..=200_u64 {
        let now = world.network.now();
        world.network.hub.0.publish("state", json(&n.to_string()).as_ref(), true, now).unwrap();
        world.run_until(epoch() + seconds(n));
    }
    world.network.conditions.loss_per_mille = 0;
    world.run_until(epoch() + seconds(400));
    let messages = world.messages();
    assert_eq!(messages.last().unwrap().1, "state 200");
    assert!(world.network.dials.len() > 2, "connections were lost");
    let numbers: Vec<u64> = messages.iter().map(|(_, text)| text[6..].parse().unwrap()).collect();
    assert!(numbers.is_sorted());
}
