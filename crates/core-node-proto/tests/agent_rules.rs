//! Rules that hold for the agent whatever happens to it, crashes between any two steps included.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

#[path = "agent_support/world.rs"]
mod world;

use core_node_proto::agent::Policy;
use proptest::prelude::*;
use world::{ANSWERS, Answer, Step, World, config};

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let answer = prop_oneof![4 => Just(Answer::Ok), 3 => prop::sample::select(ANSWERS.to_vec())];
    let step = prop_oneof![
        14 => (0..4_usize, answer).prop_map(|(at, answer)| Step::Answer(at, answer)),
        9 => prop::sample::select(vec![true, true, true, true, false]).prop_map(Step::Store),
        5 => (0..5_usize, 0..5_000_u64).prop_map(|(name, bytes)| Step::Produce(name, bytes)),
        1 => (0..5_usize, 0..1_u64 << 55).prop_map(|(name, bytes)| Step::Produce(name, bytes)),
        5 => Just(Step::Sample),
        2 => any::<bool>().prop_map(Step::Applied),
        1 => any::<bool>().prop_map(Step::Publish),
        6 => (0..70_000_u64).prop_map(Step::Wait),
        1 => (0..200_000_000_u64).prop_map(Step::Wait),
        1 => (-90_000_000..90_000_000_i64).prop_map(Step::WallClock),
        1 => (0..100_000_u64).prop_map(Step::Back),
        1 => Just(Step::RestartProxy),
        3 => Just(Step::Crash),
        1 => Just(Step::Close),
        2 => (0..6_usize).prop_map(Step::Report),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_rule_holds_after_every_step_and_no_byte_is_lost_or_counted_twice(
        steps in steps(),
        policy in prop::sample::select(vec![Policy::Resend, Policy::Resend, Policy::Quarantine, Policy::Discard]),
    ) {
        let mut world = World::new(config(policy));
        for step in steps {
            world.step(step);
        }
    }

    #[test]
    fn everything_arrives_when_everything_works_again(steps in steps()) {
        let mut world = World::new(config(Policy::Resend));
        for step in steps {
            world.step(step);
        }
        world.come_to_rest();
    }
}

#[test]
fn a_crash_after_any_step_of_a_good_life_loses_nothing() {
    let life = good_life();
    for crash in 0..life.len() {
        for again in [None, Some(crash + 3)] {
            let mut world = World::new(config(Policy::Resend));
            for (at, &step) in life.iter().enumerate() {
                world.step(step);
                if at == crash || Some(at) == again {
                    world.step(Step::Crash);
                }
            }
            world.come_to_rest();
        }
    }
}

/// Registration apart: sync, traffic, a lost answer, an end of the proxy.
fn good_life() -> Vec<Step> {
    let ok = Step::Answer(0, Answer::Ok);
    let round = [Step::Store(true), ok, ok, Step::Sample, Step::Store(true), Step::Applied(true)];
    let mut life = Vec::new();
    for minute in 0..3 {
        life.extend([Step::Produce(minute, 1_000), Step::Produce(1, 10), Step::Produce(3, 5)]);
        life.extend(round);
        life.extend([Step::Store(true), Step::Answer(0, Answer::Lost(true)), Step::Wait(61_000)]);
        life.extend(round);
        life.extend([ok, ok, Step::Publish(false), Step::Wait(20_000), ok, ok]);
    }
    life.push(Step::RestartProxy);
    life.extend(round);
    life
}
