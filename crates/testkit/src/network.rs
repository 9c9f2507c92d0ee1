//! What the virtual links share: conditions, a seeded generator, and the queue of what is under way.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;
use web_time::Instant;

/// How a virtual link treats what it carries. The default is perfect: no delay, no cuts, no loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conditions {
    /// The time that everything takes, in each direction.
    pub delay: Duration,
    /// At most this much is added to each delay. Streams keep their order all the same.
    pub jitter: Duration,
    /// How many of a thousand transmissions break the connection, or the exchange, that carries them.
    pub loss_per_mille: u16,
    /// Streams are cut again into pieces of 1 to this many bytes; `None` keeps the pieces as transmitted,
    /// which protocols of whole frames need.
    pub largest_piece: Option<usize>,
}

/// A small deterministic generator (splitmix64): the same seed gives the same numbers on every platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    /// Makes a generator.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`, or 0 if `bound` is 0. The slight bias does not matter to tests.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// Returns true `per_mille` times out of a thousand.
    pub fn chance(&mut self, per_mille: u16) -> bool {
        self.below(1000) < u64::from(per_mille)
    }

    /// Returns the time that one piece is under way: the delay, and a part of the jitter.
    pub fn travel(&mut self, conditions: &Conditions) -> Duration {
        let jitter = u64::try_from(conditions.jitter.as_nanos()).unwrap_or(u64::MAX);
        conditions.delay + Duration::from_nanos(self.below(jitter.saturating_add(1)))
    }

    /// Cuts `bytes` into the pieces that the conditions ask for.
    pub fn cut(&mut self, mut bytes: Bytes, conditions: &Conditions) -> Vec<Bytes> {
        let Some(largest) = conditions.largest_piece else { return vec![bytes] };
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let drawn = usize::try_from(self.below(largest as u64)).unwrap_or(0) + 1;
            pieces.push(bytes.split_to(drawn.min(bytes.len())));
        }
        pieces
    }
}

/// What is under way, ordered by its arrival; for equal times in the order of departure.
#[derive(Debug, Clone)]
pub struct InFlight<T> {
    items: BTreeMap<(Instant, u64), T>,
    departures: u64,
}

impl<T> Default for InFlight<T> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), departures: 0 }
    }
}

impl<T> InFlight<T> {
    /// Makes an empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends an item that arrives at `at`.
    pub fn push(&mut self, at: Instant, item: T) {
        self.items.insert((at, self.departures), item);
        self.departures += 1;
    }

    /// Returns when the next item arrives.
    pub fn next_at(&self) -> Option<Instant> {
        self.items.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Takes the next item if it has arrived by `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, T)> {
        let first = self.items.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((at, _), item) = first.remove_entry();
        Some((at, item))
    }

    /// Loses everything that is under way.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// Loses the items that `keep` refuses.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.items.retain(|_, item| keep(item));
    }

    /// Returns how many items are under way.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// One direction of a stream: nothing overtakes what was sent before it.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    last: Option<Instant>,
}

impl Lane {
    /// Returns when what is sent `now` arrives.
    pub(crate) fn arrival(&mut self, now: Instant, conditions: &Conditions, random: &mut Random) -> Instant {
        let arrival = (now + random.travel(conditions)).max(self.last.unwrap_or(now));
        self.last = Some(arrival);
        arrival
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::epoch;

    #[test]
    fn the_generator_follows_the_published_sequence() {
        let mut random = Random::new(1_234_567);
        let numbers: Vec<_> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn chance_knows_never_and_always() {
        let mut random = Random::new(7);
        assert!((0..1000).all(|_| !random.chance(0)));
        assert!((0..1000).all(|_| random.chance(1000)));
        let half = (0..1000).filter(|_| random.chance(500)).count();
        assert!((400..600).contains(&half), "{half}");
    }

    #[test]
    fn items_arrive_by_time_and_then_by_departure() {
        let (start, later) = (epoch(), epoch() + Duration::from_secs(1));
        let mut in_flight = InFlight::new();
        for (at, item) in [(later, "c"), (start, "a"), (start, "b"), (later, "d")] {
            in_flight.push(at, item);
        }
        assert_eq!(in_flight.next_at(), Some(start));
        assert_eq!(in_flight.pop_due(start), Some((start, "a")));
        assert_eq!(in_flight.pop_due(start), Some((start, "b")));
        assert_eq!(in_flight.pop_due(start), None);
        in_flight.retain(|&item| item != "c");
        assert_eq!(in_flight.len(), 1);
        assert_eq!(in_flight.pop_due(later), Some((later, "d")));
        assert!(in_flight.is_empty());
    }

    #[test]
    fn a_lane_keeps_its_order_in_spite_of_jitter() {
        let conditions = Conditions { jitter: Duration::from_secs(1), ..Conditions::default() };
        let (mut lane, mut random) = (Lane::default(), Random::new(3));
        let arrivals: Vec<_> = (0..50).map(|_| lane.arrival(epoch(), &conditions, &mut random)).collect();
        assert!(arrivals.is_sorted());
        assert!(arrivals.iter().all(|&at| at <= epoch() + conditions.jitter));
    }

    #[test]
    fn pieces_make_up_the_whole() {
        let conditions = Conditions { largest_piece: Some(3), ..Conditions::default() };
        let pieces = Random::new(5).cut(Bytes::from_static(b"hello, world"), &conditions);
        assert!(pieces.iter().all(|piece| (1..=3).contains(&piece.len())));
        assert_eq!(pieces.concat(), b"hello, world");
    }
}
