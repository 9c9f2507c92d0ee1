//! Rules that hold for Core whatever happens to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

#[path = "core_support/world.rs"]
mod world;

use proptest::prelude::*;
use world::World;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_hold_whatever_happens(numbers in prop::collection::vec(any::<u16>(), 0..1500)) {
        let mut numbers = numbers.into_iter();
        let mut choose = |end: usize| usize::from(numbers.next().unwrap_or(0)) % end.max(1);
        let Some(mut world) = World::new(&mut choose) else { return Ok(()) };
        for _ in 0..200 {
            world.step(&mut choose);
        }
        world.end();
    }
}
