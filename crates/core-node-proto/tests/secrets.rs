//! Both machines and both bindings with marked secrets: registration codes, keys, keys of users in services. What the
//! machines give out and what is refused shows none of them, neither as `Debug` nor as `Display`. The rules of the machines
//! look at `Debug` after random steps, too.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use bytes::Bytes;
use core_node_proto::agent::{self, Agent, ApplyFailed, Counters, Event, Restored};
use core_node_proto::call::{Call, Failure, FailureKind, Incoming, KeyPlacement, Link, Refusal, Reply};
use core_node_proto::config::NodeConfig;
use core_node_proto::core::{self, Audience, ConfigParts, Core, Entropy, Tables};
use core_node_proto::http::Base;
use core_node_proto::message::NodeStats;
use core_node_proto::value::Timestamp;
use core_node_proto::{Instant, Method, Secret, grpc, http};
use std::collections::BTreeMap;
use std::time::Duration;
use testkit::epoch;
use testkit::secrets::{MARK, assert_debug_hides, assert_error_hides, assert_no_secret, marked};

const METHODS: [Method; 10] = [
    Method::Register,
    Method::Heartbeat,
    Method::ReportUsage,
    Method::ReportOutboundUsage,
    Method::ReportSessionEvents,
    Method::GetLatestConfig,
    Method::ConfirmConfigApplied,
    Method::ReportError,
    Method::ReportNodeStats,
    Method::ReportOnlineUsers,
];

fn start() -> Timestamp {
    "2030-01-02T03:04:05.000Z".parse().unwrap()
}

fn base() -> Base {
    Base::parse("http://127.0.0.1:3000").unwrap()
}

/// A configuration with keys of users.
fn parts() -> ConfigParts {
    let json = format!(
        r#"{{"revision":1,"clientMap":{{"45":{{"userId":12,"subscriptionId":null}}}},"services":{{"xray":{{"inbounds":[
        {{"tag":"t","port":443,"protocol":"vless","settings":{{"clients":[{{"id":"{}","email":"u12.l3.s45.i6"}}]}}}}]}}}}}}"#,
        marked(7)
    );
    ConfigParts::from(&NodeConfig::from_json(json.as_bytes()).unwrap().config)
}

/// An agent and a Core, and calls between them over the bindings.
struct World {
    agent: Agent,
    core: Core,
    tables: Tables,
    now: Instant,
    /// What the agent was told, or was not.
    seen: Vec<String>,
    /// Whether the node runs what it is given.
    applies: bool,
}

impl World {
    fn new(code: u64) -> Self {
        let mut config = agent::Config::new(
            "fra-1",
            "203.0.113.7".parse().unwrap(),
            3100.try_into().unwrap(),
            "eu-central",
        );
        config.code = Some(Secret::new(marked(code)));
        assert_debug_hides(&config);
        let agent = Agent::new(config, Restored::Nothing, start(), epoch()).unwrap();
        let tables = Tables::default();
        let config = core::Config::new(Entropy::new([7; 32]));
        let mut core = Core::new(config, tables.stored(), start(), epoch()).unwrap();
        core.add_code(&Secret::new(marked(1)), None, epoch()).unwrap();
        core.publish(parts(), Audience::All, epoch()).unwrap();
        let mut world = Self { agent, core, tables, now: epoch(), seen: Vec::new(), applies: true };
        world.settle();
        world
    }

    fn live(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.agent.poll_timeout().into_iter().chain(self.core.poll_timeout()).min()
            && due <= end
        {
            self.now = due.max(self.now);
            self.agent.handle_timeout(self.now);
            self.core.handle_timeout(self.now);
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.serve();
        while let Some(output) = self.agent.poll_output() {
            assert_debug_hides(&output);
            assert_debug_hides(&self.agent);
            self.carry_out(output);
            self.serve();
        }
    }

    fn carry_out(&mut self, output: agent::Output) {
        let now = self.now;
        match output {
            agent::Output::Call { id, link, call, key, .. } => match self.exchange(link, &call, key.as_ref())
            {
                Ok(reply) => {
                    assert_debug_hides(&reply);
                    self.agent.handle_reply(id, reply, now);
                }
                Err(failure) => {
                    assert_hides(&failure);
                    self.agent.handle_failure(id, failure, now);
                }
            },
            agent::Output::Store { id, .. } => self.agent.handle_stored(id, Ok(()), now),
            agent::Output::Sample(agent::Sampling::Counters) => {
                self.agent.handle_counters(Counters::default(), now);
            }
            agent::Output::Sample(agent::Sampling::Stats) => {
                self.agent.handle_stats(NodeStats::default(), now);
            }
            agent::Output::Sample(agent::Sampling::Online) => self.agent.handle_online(&[], now),
            agent::Output::Apply { id, config } => {
                assert_debug_hides(&config);
                let failed = ApplyFailed { message: marked(6), code: None, details: None };
                assert_debug_hides(&failed);
                self.agent.handle_applied(id, if self.applies { Ok(()) } else { Err(failed) }, now);
            }
            agent::Output::Event(event) => {
                if let Event::RegistrationRefused { reason, .. } = &event {
                    assert_error_hides(reason);
                }
                self.seen.push(format!("{event:?}"));
            }
            agent::Output::Cancel(_) => {}
        }
    }

    /// Carries a call to Core and back.
    fn exchange(&mut self, link: Link, call: &Call, key: Option<&Secret>) -> Result<Reply, Failure> {
        match link {
            Link::Http => {
                let request = http::request(&base(), call, key).unwrap();
                assert_debug_hides(request.headers());
                let outcome = self.ask(http::read_request(request));
                let response = http::response(call.method(), &outcome);
                assert_debug_hides(response.headers());
                http::read_response(call.method(), &response)
            }
            Link::Grpc => {
                let request = grpc::request(call, key, KeyPlacement::Both).unwrap();
                assert_debug_hides(&request);
                let mut metadata = ::http::HeaderMap::new();
                if let Some(key) = request.metadata.clone() {
                    metadata.insert(grpc::KEY_HEADER, key);
                }
                assert_debug_hides(&metadata);
                let outcome = self.ask(grpc::read_request(request.path, &metadata, request.message));
                let reply = outcome.map_err(|refusal| {
                    let (code, text) = grpc::status(&refusal);
                    assert_no_secret(&text, "the text of a status");
                    Failure::answered(FailureKind::Grpc(code))
                })?;
                grpc::read_reply(call.method(), &grpc::reply(call.method(), &reply))
            }
        }
    }

    fn ask(&mut self, incoming: Result<Incoming, Refusal>) -> Result<Reply, Refusal> {
        let incoming = incoming.inspect_err(|refusal| assert_error_hides(refusal))?;
        assert_debug_hides(&incoming);
        let id = self.core.handle_call(incoming, self.now);
        let mut replies = self.serve();
        let outcome = replies.remove(&format!("{id:?}")).expect("Core answers once it has stored");
        outcome.inspect_err(|refusal| assert_error_hides(refusal))
    }

    /// Does what Core wants; returns its answers.
    fn serve(&mut self) -> BTreeMap<String, Result<Reply, Refusal>> {
        let mut replies = BTreeMap::new();
        while let Some(output) = self.core.poll_output() {
            assert_debug_hides(&output);
            match output {
                core::Output::Reply { id, outcome } => drop(replies.insert(format!("{id:?}"), outcome)),
                core::Output::Store { id, changes } => {
                    self.tables.apply(&changes);
                    self.core.handle_stored(id, Ok(()), self.now);
                }
                _ => {}
            }
        }
        assert_debug_hides(&self.core);
        assert_debug_hides(&self.tables);
        replies
    }

    fn saw(&self, event: &str) -> bool {
        self.seen.iter().any(|seen| seen.contains(event))
    }
}

fn assert_hides(failure: &Failure) {
    assert_debug_hides(failure);
    assert_no_secret(&failure.kind.to_string(), "why a call failed");
}

#[test]
fn no_secret_shows_in_the_life_of_a_node() {
    let mut world = World::new(1);
    world.live(120);
    assert!(world.saw("Applied") && world.saw("Confirmed"), "{:?}", world.seen);
    world.applies = false;
    world.core.publish(parts(), Audience::All, world.now).unwrap();
    world.live(60);
    assert!(world.saw("ApplyFailed"), "{:?}", world.seen);
    world.agent.set_key(Secret::new(marked(2)), None, world.now).unwrap();
    world.live(60);
    assert!(world.saw("Unauthorized"), "{:?}", world.seen);
}

#[test]
fn no_secret_shows_where_a_code_is_refused() {
    let mut world = World::new(9);
    world.live(10);
    assert!(world.saw("RegistrationRefused"), "{:?}", world.seen);
}

/// Bodies that are none, with a secret at every place where one may stand by mistake.
fn bad_bodies() -> Vec<String> {
    let secret = marked(3);
    vec![
        secret.clone(),
        format!("\"{secret}\""),
        format!("[\"{secret}\"]"),
        format!("{{\"{secret}\":1}}"),
        format!(
            "{{\"code\":[\"{secret}\"],\"port\":\"{secret}\",\"name\":\"{secret}\",\"ip\":\"{secret}\"}}"
        ),
        format!(r#"{{"code":"{secret}","name":"n","ip":"{secret}","port":1,"region":"r"}}"#),
        format!(r#"{{"authKey":["{secret}"],"nodeId":1}}"#),
        format!(r#"{{"authKey":"{secret}","nodeId":["{secret}"]}}"#),
        format!(r#"{{"authKey":"{secret}\n","nodeId":1}}"#),
        format!(r#"{{"revision":"{secret}","ok":"{secret}","needSync":"{secret}"}}"#),
        format!(r#"{{"revision":1,"clientMap":{{"{secret}":"{secret}"}},"services":{{"xray":"{secret}"}}}}"#),
        format!(r#"{{"revision":1,"clientMap":{{}},"services":"{secret}"}}"#),
        format!(r#"{{"entries":[{{"userId":"{secret}"}}],"items":"{secret}","events":["{secret}"]}}"#),
        format!(r#"{{"message":["{secret}"],"users":"{secret}","statusCode":"{secret}"}}"#),
    ]
}

#[test]
fn what_cannot_be_read_is_not_repeated() {
    let mut refused = 0;
    for (method, body) in
        METHODS.into_iter().flat_map(|method| bad_bodies().into_iter().map(move |body| (method, body)))
    {
        if let Err(error) = http::decode(method, body.as_bytes()) {
            assert_error_hides(&error);
            let refusal = http::refusal(&Refusal::Invalid(error));
            assert_no_secret(&String::from_utf8_lossy(refusal.body()), "a refusal");
            refused += 1;
        }
        if let Err(error) = grpc::decode(method, body.as_bytes()) {
            assert_error_hides(&error);
        }
        for status in [200, 400, 401, 500] {
            let mut response = ::http::Response::new(Bytes::from(body.clone()));
            *response.status_mut() = status.try_into().unwrap();
            match http::read_response(method, &response) {
                Ok(reply) => assert_debug_hides(&reply),
                Err(failure) => assert_hides(&failure),
            }
        }
        match grpc::read_reply(method, body.as_bytes()) {
            Ok(reply) => assert_debug_hides(&reply),
            Err(failure) => assert_hides(&failure),
        }
        if let Err(error) = NodeConfig::from_json(body.as_bytes()) {
            assert_error_hides(&error);
        }
    }
    assert!(refused > METHODS.len(), "only {refused} were refused");
    assert!(bad_bodies().iter().all(|body| body.contains(MARK)));
}
