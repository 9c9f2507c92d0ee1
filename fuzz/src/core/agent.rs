//! The agent under arbitrary steps: answers and failures of all kinds, stores, samples, configurations, waits, clocks that jump,
//! crashes, the end. The books of every byte are checked after each step.

use super::agent_world::{ANSWERS, Step, World, config};
use crate::input::Input;
use core_node_proto::agent::{Config, Policy};
use std::time::Duration;
use testkit::secrets::MARK;

const MOST_STEPS: usize = 300;

/// So that no sum of them is above what a counter can hold.
const MOST_BYTES: u64 = 1 << 54;

/// An arbitrary list of steps, after each of which the rules hold.
pub fn core_agent(data: &[u8]) {
    if data.windows(MARK.len()).any(|window| window.eq_ignore_ascii_case(MARK.as_bytes())) {
        return;
    }
    let mut input = Input::new(data);
    let mut world = World::new(settings(&mut input));
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            return;
        }
        world.step(step(&mut input));
    }
}

fn settings(input: &mut Input<'_>) -> Config {
    let mut config =
        config(input.pick(&[Policy::Resend, Policy::Resend, Policy::Quarantine, Policy::Discard]));
    config.outbound_policy = input.pick(&[Policy::Discard, Policy::Quarantine]);
    let seconds = Duration::from_secs;
    config.usage_spread = input.pick(&[Duration::ZERO, seconds(20), Duration::MAX]);
    config.call_timeout = input.pick(&[seconds(10), Duration::from_nanos(1), Duration::MAX]);
    config.sample_timeout = input.pick(&[seconds(5), Duration::from_nanos(1), Duration::MAX]);
    config.heartbeat_interval = input.pick(&[seconds(10), Duration::from_nanos(1), Duration::MAX]);
    config.usage_interval = input.pick(&[seconds(60), Duration::from_millis(1), Duration::MAX]);
    (config.min_backoff, config.max_backoff) = input.pick(&[
        (seconds(1), seconds(60)),
        (Duration::from_nanos(1), Duration::MAX),
        (Duration::MAX, Duration::MAX),
    ]);
    config.batch_entries = input.pick(&[2, 1]);
    config.max_batches = input.pick(&[4, 2, 1_440]);
    config.seed = input.number();
    config
}

fn step(input: &mut Input<'_>) -> Step {
    match input.below(16) {
        0..=2 => Step::Answer(input.below(4), input.pick(&ANSWERS)),
        3 => Step::Answer(input.below(2), ANSWERS[0]),
        4 | 5 => Step::Store(input.below(8) != 7),
        6 => Step::Produce(input.below(5), input.number() % MOST_BYTES),
        7 => Step::Sample,
        8 => Step::Applied(input.flag()),
        9 => Step::Publish(input.flag()),
        10 => Step::Wait(u64::from(input.byte()) * 300),
        11 => Step::Wait(input.number() % 200_000_000),
        12 => match input.below(3) {
            0 => Step::WallClock(input.signed()),
            1 => Step::Back(input.number() % 1_000_000),
            _ => Step::RestartProxy,
        },
        13 => Step::Crash,
        14 => Step::Close,
        _ => Step::Report(input.below(6)),
    }
}
