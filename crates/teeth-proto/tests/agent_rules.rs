//! Rules that hold for an agent whatever happens to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod rules_support;
mod support;

use proptest::prelude::*;
use rules_support::{MAX_CALLS, Peer, Step, steps};
use std::time::Duration;
use support::{TestAgent, drain, epoch};
use teeth_proto::Instant;
use teeth_proto::agent::{self, Agent};
use teeth_proto::command::LogEntry;
use teeth_proto::session::Answer;
use testkit::rules::{check_after_step, check_closed, check_command};
use testkit::secrets::assert_debug_hides;

proptest! {
    #[test]
    fn every_rule_holds_for_an_agent_after_every_step(steps in steps(), handshake in any::<bool>()) {
        let mut agent = TestAgent(agent(handshake));
        let (mut now, mut peer, mut tokens) = (epoch(), Peer::default(), Vec::new());
        let mut ended = std::collections::BTreeSet::new();
        drain(&mut agent);
        for step in steps {
            let connection = agent.0.connection();
            let task = agent.0.tasks().map(|(task, _)| task).last();
            match (step, connection, task) {
                (Step::Line(line, id), Some(connection), _) => {
                    agent.0.handle_bytes(connection, &peer.line(line, id), now);
                }
                (Step::Bytes(bytes), Some(connection), _) => agent.0.handle_bytes(connection, &bytes, now),
                (Step::Call(_), ..) => {
                    let _ = check_command(&mut agent, |agent| agent.0.log(&LogEntry::new("x", 1.0), now));
                }
                (Step::Answer, ..) => if let Some(token) = tokens.pop() {
                    let _ = agent.0.respond(token, Answer::Done, now);
                }
                (Step::Drop, ..) => drop(tokens.pop()),
                (Step::Connect(true), Some(connection), _) => agent.0.handle_connected(connection, now),
                (Step::Connect(false), Some(connection), _) => agent.0.handle_connect_failed(connection, now),
                (Step::Lose, Some(connection), _) => agent.0.handle_disconnect(connection, now),
                (Step::Stall, Some(connection), _) => agent.0.handle_stalled(connection, now),
                (Step::Progress(percent), _, Some(task)) => {
                    let _ = check_command(&mut agent, |agent| agent.0.progress(task, percent, None, now));
                }
                (Step::Complete, _, Some(task)) => {
                    let _ = check_command(&mut agent, |agent| agent.0.complete(task, now));
                }
                (Step::Fail, _, Some(task)) => {
                    let _ = check_command(&mut agent, |agent| agent.0.fail(task, "no", now));
                }
                (Step::Advance(viable), _, Some(task)) => {
                    let _ = check_command(&mut agent, |agent| agent.0.step_done(task, now));
                    peer.sees(&drain(&mut agent));
                    let _ = check_command(&mut agent, |agent| agent.0.kexec_target(task, viable, now));
                }
                (Step::Wait(wait), ..) => now += Duration::from_millis(wait),
                (Step::Back(back), ..) => agent.0.handle_timeout(now.checked_sub(Duration::from_millis(back)).unwrap_or(now)),
                (Step::Close, ..) => agent.0.close(now),
                _ => {}
            }
            let outputs = check_after_step(&mut agent, now);
            assert_debug_hides(&outputs);
            peer.sees(&outputs);
            for output in outputs {
                match output {
                    agent::Output::Event(agent::Event::Command { token, .. }) => tokens.push(token),
                    agent::Output::Event(agent::Event::TaskReported { task, .. }) => {
                        prop_assert!(ended.insert(task), "a task is over once");
                    }
                    _ => {}
                }
            }
            prop_assert!(agent.0.tasks().count() <= MAX_CALLS);
            if agent.0.is_closed() {
                check_closed(&mut agent, now);
            }
        }
        assert_debug_hides(&agent.0);
    }
}

/// Times far away and settings without bounds do not overflow.
#[test]
fn settings_without_bounds_are_never() {
    let mut config = agent::Config::new("a", "1", 1);
    config.session.idle_timeout = Duration::MAX;
    config.session.ping_interval = Duration::MAX;
    config.connect_timeout = Duration::MAX;
    config.report_interval = Duration::MAX;
    config.backoff.max_wait = Duration::MAX;
    config.backoff.factor = f64::MAX;
    let mut agent = TestAgent(Agent::new(config, epoch()).unwrap());
    let connection = agent.0.connection().unwrap();
    agent.0.handle_connect_failed(connection, epoch());
    assert_eq!(agent.0.poll_timeout(), None::<Instant>);
}

fn agent(handshake: bool) -> Agent {
    let mut config = agent::Config::new("a", "1", 1);
    config.handshake = handshake;
    config.methods = ["x.y".to_owned()].into();
    config.max_tasks = MAX_CALLS;
    config.session.max_calls = MAX_CALLS;
    Agent::new(config, epoch()).unwrap()
}
