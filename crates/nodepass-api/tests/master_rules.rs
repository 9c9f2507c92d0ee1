//! Rules that hold for the master whatever happens to it.

#[path = "master_support/world.rs"]
mod world;

use proptest::prelude::*;
use world::World;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_hold_whatever_happens(numbers in prop::collection::vec(any::<u16>(), 0..900)) {
        let mut numbers = numbers.into_iter();
        let mut is_over = false;
        let mut choose = |end: usize| {
            let number = numbers.next();
            is_over |= number.is_none();
            usize::from(number.unwrap_or(0)) % end.max(1)
        };
        let Some(mut world) = World::new(&mut choose) else { return Ok(()) };
        for _ in 0..150 {
            world.step(&mut choose);
        }
        world.end();
    }
}
