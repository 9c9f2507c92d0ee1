//! Rules that hold for a client whatever happens to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod rules_support;
mod support;

use http::{Response, StatusCode};
use nodered_comms::Secret;
use nodered_comms::client::{self, Client, Credentials, Discovery, FailureKind};
use proptest::prelude::*;
use rules_support::{LIMIT, Step, frame, steps};
use support::{TestClient, epoch, filter, json, millis};
use testkit::drain;
use testkit::rules::{check_after_step, check_closed, check_command};
use testkit::secrets::{assert_debug_hides, marked};

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
