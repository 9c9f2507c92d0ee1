//! Rules that hold for the machines whatever happens to them.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use http::{Response, StatusCode};
use nodered_comms::client::{self, Client, Credentials, Discovery, FailureKind};
use nodered_comms::runtime::{self, Access, Era, LookUpId, Overflow, Runtime, Scope, User};
use nodered_comms::{ConnectionId, Secret};
use proptest::prelude::*;
use support::{TestClient, TestRuntime, epoch, filter, json, millis, seconds};
use testkit::drain;
use testkit::rules::{check_after_step, check_closed, check_command};
use testkit::secrets::{assert_debug_hides, marked};

const LIMIT: usize = 4;

const FRAMES: &[&str] = &[
    "{\"auth\":\"ok\"}",
    "{\"auth\":\"fail\"}",
    "[]",
    "[{\"topic\":\"a\",\"data\":1},{\"topic\":\"hb\",\"data\":5}]",
    "{\"topic\":\"a/b\",\"data\":{}}",
    "[{\"auth\":\"fail\"},{\"topic\":\"a\"}]",
    "nope",
    "{\"auth\":\"SECRET\"}",
    "{\"subscribe\":\"a/#\"}",
    "{\"subscribe\":\"+\"}",
    "{\"topic\":\"t\",\"data\":null}",
    "null",
    "{\"auth\":7}",
];

#[derive(Clone, Debug)]
enum Step {
    Frame(usize, usize),
    Connect(bool),
    Lose(usize),
    Answer(u16, usize),
    Fail,
    LookedUp(usize, bool, bool),
    Subscribe(usize),
    Publish(usize, bool),
    Login(bool),
    Retry,
    Wait(u64),
    Back(u64),
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..LIMIT, 0..FRAMES.len()).prop_map(|(connection, frame)| Step::Frame(connection, frame)),
        4 => any::<bool>().prop_map(Step::Connect),
        1 => (0..LIMIT).prop_map(Step::Lose),
        3 => (prop::sample::select(vec![200_u16, 200, 401, 404, 500]), 0..3_usize).prop_map(|(s, b)| Step::Answer(s, b)),
        1 => Just(Step::Fail),
        3 => (0..LIMIT, any::<bool>(), any::<bool>()).prop_map(|(at, known, may)| Step::LookedUp(at, known, may)),
        2 => (0..4_usize).prop_map(Step::Subscribe),
        4 => (0..4_usize, any::<bool>()).prop_map(|(topic, retain)| Step::Publish(topic, retain)),
        1 => any::<bool>().prop_map(Step::Login),
        1 => Just(Step::Retry),
        5 => (0..20_000_u64).prop_map(Step::Wait),
        1 => (0..20_000_u64).prop_map(Step::Back),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 0..60)
}

fn frame(number: usize) -> String {
    FRAMES[number].replace("SECRET", &marked(1))
}

proptest! {
    #[test]
    fn every_rule_holds_for_a_client_after_every_step(steps in steps(), asks in any::<bool>()) {
        let mut client = TestClient(client(asks));
        let (mut now, mut requests) = (epoch(), Vec::new());
        for output in drain(&mut client) {
            if let client::Output::Request { id, .. } = output {
                requests.push(id);
            }
        }
        for step in steps {
            let connection = client.0.connection();
            match (step, connection) {
                (Step::Frame(_, number), Some(connection)) => client.0.handle_text(connection, &frame(number), now),
                (Step::Connect(true), Some(connection)) => client.0.handle_connected(connection, now),
                (Step::Connect(false), Some(connection)) => client.0.handle_connect_failed(connection, now),
                (Step::Lose(_), Some(connection)) => client.0.handle_disconnect(connection, now),
                (Step::Answer(status, body), _) => if let Some(id) = requests.pop() {
                    let body = ["{}", "{\"type\":\"credentials\"}", "{\"access_token\":\"SECRET\",\"expires_in\":-1}"][body];
                    let mut response = Response::new(body.replace("SECRET", &marked(4)).into());
                    *response.status_mut() = StatusCode::from_u16(status).unwrap();
                    client.0.handle_response(id, response, now);
                }
                (Step::Fail, _) => if let Some(id) = requests.pop() {
                    client.0.handle_failure(id, FailureKind::TimedOut, now);
                }
                (Step::Subscribe(number), _) => {
                    let pattern = ["a/#", "", "a{2}", "+"][number];
                    let _ = check_command(&mut client, |client| client.0.subscribe(&filter(pattern), now));
                }
                (Step::Publish(number, _), _) => {
                    let topic = ["t", "", "u", "v"][number];
                    let _ = check_command(&mut client, |client| client.0.publish(topic, json("1").as_ref(), now));
                }
                (Step::Login(token), _) => {
                    let credentials = if token { Credentials::Token(Secret::new(marked(2))) } else { Credentials::None };
                    let _ = check_command(&mut client, |client| client.0.login(credentials, now));
                }
                (Step::Retry, _) => client.0.retry(now),
                (Step::Wait(wait), _) => now += millis(wait),
                (Step::Back(back), _) => client.0.handle_timeout(now.checked_sub(millis(back)).unwrap_or(now)),
                (Step::Close, _) => client.0.close(now),
                _ => {}
            }
            let outputs = check_after_step(&mut client, now);
            assert_debug_hides(&outputs);
            requests.extend(outputs.iter().filter_map(|output| match output {
                client::Output::Request { id, .. } => Some(*id),
                _ => None,
            }));
            prop_assert!(client.0.subscriptions().count() <= LIMIT);
            if client.0.is_closed() {
                check_closed(&mut client, now);
            }
        }
        assert_debug_hides(&client.0);
    }

    #[test]
    fn every_rule_holds_for_a_runtime_after_every_step(
        steps in steps(),
        access in 0..3_usize,
        era in prop::sample::select(vec![Era::Document, Era::FirstAtOnce, Era::AnySize, Era::Today]),
        drops in any::<bool>(),
    ) {
        let access = [Access::Open, Access::Users, Access::UsersOr(User::anonymous(Scope::from("read")))][access].clone();
        let mut runtime = TestRuntime(runtime(access, era, drops));
        let (mut now, mut look_ups): (_, Vec<LookUpId>) = (epoch(), Vec::new());
        for step in steps {
            let connections: Vec<ConnectionId> = runtime.0.connections().collect();
            let pick = |at: usize| connections.get(at % connections.len().max(1)).copied();
            match step {
                Step::Connect(_) => drop(runtime.0.accept(now)),
                Step::Frame(at, number) => if let Some(connection) = pick(at) {
                    runtime.0.handle_text(connection, &frame(number), now);
                }
                Step::Lose(at) => if let Some(connection) = pick(at) {
                    runtime.0.handle_disconnect(connection, now);
                }
                Step::Answer(_, at) => if let Some(connection) = pick(at) {
                    runtime.0.end_session(connection, now);
                }
                Step::LookedUp(at, known, may) => if let Some(&id) = look_ups.get(at) {
                    let mut user = User::new("u", Scope::from(if may { "*" } else { "flows.read" }));
                    user.expires_in = Some(seconds(3));
                    runtime.0.handle_user(id, known.then_some(user), now);
                }
                Step::Publish(number, retain) => {
                    let (topic, data) = [("a/b", "1"), ("c", "null"), ("", "1"), ("a/b", "\"0123456789\"")][number];
                    let _ = check_command(&mut runtime, |runtime| runtime.0.publish(topic, json(data).as_ref(), retain, now));
                }
                Step::Subscribe(at) => if let Some(connection) = pick(at) {
                    let _ = check_command(&mut runtime, |runtime| runtime.0.publish_to(connection, "x", json("1").as_ref(), now));
                }
                Step::Wait(wait) => now += millis(wait),
                Step::Back(back) => runtime.0.handle_timeout(now.checked_sub(millis(back)).unwrap_or(now)),
                Step::Close => runtime.0.close(now),
                _ => {}
            }
            let outputs = check_after_step(&mut runtime, now);
            assert_debug_hides(&outputs);
            look_ups.extend(outputs.iter().filter_map(|output| match output {
                runtime::Output::LookUp { id, .. } => Some(*id),
                _ => None,
            }));
            prop_assert!(runtime.0.connections().count() <= LIMIT);
            for connection in runtime.0.connections() {
                prop_assert!(runtime.0.queued(connection).0 <= LIMIT);
            }
            if runtime.0.is_closed() {
                check_closed(&mut runtime, now);
            }
        }
        assert_debug_hides(&runtime.0);
    }
}

fn client(asks: bool) -> Client {
    let mut config = client::Config::new("ws://h/comms".parse().unwrap());
    config.credentials = Credentials::Password { username: "u".into(), password: Secret::new(marked(3)) };
    config.max_subscriptions = LIMIT;
    if !asks {
        config.discovery = Discovery::AssumeProtected;
    }
    Client::new(config, epoch()).unwrap()
}

fn runtime(access: Access, era: Era, drops: bool) -> Runtime {
    let mut config = runtime::Config::new(access, 1.0);
    config.era = era;
    (config.max_connections, config.max_queued, config.max_retained) = (LIMIT, LIMIT, LIMIT);
    config.overflow = if drops { Overflow::DropOldest } else { Overflow::CutOff };
    Runtime::new(config, epoch()).unwrap()
}
