//! Agent and Core over a link that loses, delays, duplicates and reorders, with crashes of either side at any step and restarts
//! from what was stored. At the end of each life everything goes well for a while, and then Core has stored exactly what the
//! proxies have counted, and the node runs what is published.
//!
//! `SIMULATION_SEEDS` is how many lives there are, `SIMULATION_FIRST` the first seed: the one of a failure repeats it.

mod world;

use core_node_proto::{agent, core};
use std::time::Duration;
use world::{Faults, World};

const SEEDS_IN_CI: u64 = 2_000;

#[expect(clippy::disallowed_methods, reason = "a longer run is asked for from outside")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn whatever_happens_core_stores_what_the_proxies_count_and_the_node_runs_what_is_published() {
    let first = setting("SIMULATION_FIRST").unwrap_or(1);
    let seeds = setting("SIMULATION_SEEDS").unwrap_or(SEEDS_IN_CI);
    let mut bytes = 0;
    for seed in first..first + seeds {
        bytes += live(seed, |_, _| {}).unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
    }
    println!("{seeds} lives from seed {first}, {bytes} bytes counted and stored");
    assert!(bytes > 0, "a simulation in which nobody sends anything shows nothing");
}

#[test]
fn a_core_that_does_not_recognise_replays_counts_some_bytes_twice() {
    let is_wrong = |seed| live(seed, |_, core| core.replay_recognition = false).is_err();
    assert!((1..50).any(is_wrong), "the comparison could not fail");
}

/// Returns how many bytes were counted.
fn live(seed: u64, configure: fn(&mut agent::Config, &mut core::Config)) -> Result<u64, String> {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let mut world = World::new(seed, chaos(seed, &mut random), configure);
    for _ in 0..random.u32(3..12) {
        world.run(Duration::from_millis(random.u64(1..90_000)));
        disturb(&mut world, &mut random);
    }
    world.faults = Faults::NONE;
    world.start_core();
    world.start_agent();
    world.proxies.is_idle = true;
    // A report of an error that arrives after the agent has given it up makes the node fail for Core until the next
    // configuration: nothing in the protocol would tell the agent. With another configuration everything has to be well.
    let is_published = !seed.is_multiple_of(3);
    if is_published {
        world.run(Duration::from_secs(60));
        world.publish();
    }
    let is_synced = |world: &World| if is_published { world.is_synced() } else { world.is_confirmed() };
    let is_done = |world: &World| is_synced(world) && world.is_settled();
    // Longer than the longest waits: 5 min of cooling, 60 s of back-off, 60 s of a period.
    if !world.run_until(Duration::from_secs(15 * 60), is_done) {
        return Err(format!("it does not come to rest: {world:?}"));
    }
    world.run(Duration::from_secs(180));
    if !is_done(&world) {
        return Err(format!("it did not stay at rest: {world:?}"));
    }
    if !delivers_twice(seed) && !world.is_outbound_right() {
        return Err(format!("outbound traffic is counted twice, or lost in silence: {world:?}"));
    }
    let shown = world.proxies.shown();
    Ok(shown.up + shown.down)
}

/// Every other life has a link that may deliver a call twice.
fn delivers_twice(seed: u64) -> bool {
    seed.is_multiple_of(2)
}

fn chaos(seed: u64, random: &mut fastrand::Rng) -> Faults {
    let faults = Faults::chaos(random);
    Faults { twice: if delivers_twice(seed) { faults.twice } else { 0 }, ..faults }
}

fn disturb(world: &mut World, random: &mut fastrand::Rng) {
    match random.u32(..10) {
        0 | 1 => {
            world.crash_agent();
            world.run(Duration::from_millis(random.u64(..30_000)));
            world.start_agent();
        }
        2 | 3 => {
            world.crash_core();
            world.run(Duration::from_millis(random.u64(..60_000)));
            world.start_core();
        }
        4 => {
            world.crash_agent();
            world.crash_core();
            world.start_agent();
            world.run(Duration::from_millis(random.u64(..20_000)));
            world.start_core();
        }
        5..=7 => world.publish(),
        _ => world.faults = chaos(world.seed, random),
    }
}
