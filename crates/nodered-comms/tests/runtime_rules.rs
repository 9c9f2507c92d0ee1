//! Rules that hold for a runtime whatever happens to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod rules_support;
mod support;

use nodered_comms::ConnectionId;
use nodered_comms::runtime::{self, Access, Era, LookUpId, Overflow, Runtime, Scope, User};
use proptest::prelude::*;
use rules_support::{LIMIT, Step, frame, steps};
use support::{TestRuntime, epoch, json, millis, seconds};
use testkit::rules::{check_after_step, check_closed, check_command};
use testkit::secrets::assert_debug_hides;

proptest! {
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

fn runtime(access: Access, era: Era, drops: bool) -> Runtime {
    let mut config = runtime::Config::new(access, 1.0);
    config.era = era;
    (config.max_connections, config.max_queued, config.max_retained) = (LIMIT, LIMIT, LIMIT);
    config.overflow = if drops { Overflow::DropOldest } else { Overflow::CutOff };
    Runtime::new(config, epoch()).unwrap()
}
