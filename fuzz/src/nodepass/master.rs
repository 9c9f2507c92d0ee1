//! The master under arbitrary requests, processes, dials, stores, readers and waits.

#[path = "../../../crates/nodepass-api/tests/master_support/world.rs"]
mod world;

use crate::input::Input;
use world::World;

const MOST_STEPS: usize = 300;

/// An arbitrary list of steps; after each of them the rules hold, and then the end comes.
pub fn nodepass_master(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(mut world) = World::new(&mut |end| input.below(end)) else { return };
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        world.step(&mut |end| input.below(end));
    }
    world.end();
}
