//! From accumulated bytes to frozen batches. §9.2.

use super::counters::Traffic;
use crate::message::{OutboundItem, UsageEntry};
use crate::value::{ByteCount, NodeProtocolId, SubscriptionId, Timestamp, UserId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Whom bytes are reported for.
pub(super) type UsageKey = (UserId, Option<SubscriptionId>, NodeProtocolId);

/// Bytes that are in no batch yet.
pub(super) type Accumulated<K> = Arc<BTreeMap<K, Traffic>>;

/// Entries that never change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch<E> {
    pub(super) entries: Arc<[E]>,
    /// How often it was sent. What is stored may be behind.
    pub(super) attempts: u32,
    /// When it was first sent at the earliest; set, and stored, before it is. `None`: it was never sent.
    pub(super) first_attempt: Option<Timestamp>,
}

impl<E: Clone> Batch<E> {
    pub(super) fn new(entries: &[E]) -> Self {
        Self { entries: entries.into(), attempts: 0, first_attempt: None }
    }

    /// Cuts it in two that were never sent; `None` if there is only one entry.
    pub(super) fn halves(&self) -> Option<[Self; 2]> {
        let (left, right) = self.entries.split_at(self.entries.len() / 2);
        (!left.is_empty()).then(|| [Self::new(left), Self::new(right)])
    }
}

/// How large a batch may be.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) entries: usize,
    /// As JSON.
    pub(super) bytes: usize,
}

/// The longest JSON of an entry with its comma: names and signs, three ids of 10 digits, two counters of 16, an instant of 24
/// characters.
const USAGE_ENTRY_BYTES: usize = 88 + 3 * 10 + 2 * 16 + 24;
/// Of an item with its comma, without the tag.
const OUTBOUND_ITEM_BYTES: usize = 40 + 2 * 16;
/// The JSON around the list.
const ENVELOPE_BYTES: usize = 14;

/// Moves bytes into batches with one instant, sorted by key. What is above 2⁵³-1 of a counter stays: in another batch of the
/// same instant it could look like the first one replayed.
pub(super) fn freeze(
    accumulated: &mut Accumulated<UsageKey>,
    recorded_at: Timestamp,
    limits: Limits,
) -> Vec<Batch<UsageEntry>> {
    let mut entries = Vec::with_capacity(accumulated.len());
    drain(accumulated, |&(user_id, subscription_id, node_protocol_id), up, down| {
        entries.push(UsageEntry {
            user_id,
            subscription_id,
            node_protocol_id,
            bytes_up: up,
            bytes_down: down,
            recorded_at,
        });
    });
    let most = limits.bytes.saturating_sub(ENVELOPE_BYTES) / USAGE_ENTRY_BYTES;
    entries.chunks(limits.entries.min(most).max(1)).map(Batch::new).collect()
}

/// Moves bytes of outbounds into batches, sorted by tag.
pub(super) fn freeze_outbounds(
    accumulated: &mut Accumulated<Box<str>>,
    limits: Limits,
) -> Vec<Batch<OutboundItem>> {
    let mut batches = Vec::new();
    let (mut items, mut bytes) = (Vec::new(), ENVELOPE_BYTES);
    drain(accumulated, |tag, bytes_up, bytes_down| {
        let length = OUTBOUND_ITEM_BYTES + json_length(tag);
        if !items.is_empty() && (items.len() == limits.entries || bytes + length > limits.bytes) {
            batches.push(Batch::new(&items));
            items.clear();
            bytes = ENVELOPE_BYTES;
        }
        items.push(OutboundItem { tag: tag.to_string(), bytes_up, bytes_down });
        bytes += length;
    });
    if !items.is_empty() {
        batches.push(Batch::new(&items));
    }
    batches
}

/// Takes as much of each key as one entry can carry.
fn drain<K: Ord + Clone>(accumulated: &mut Accumulated<K>, mut each: impl FnMut(&K, ByteCount, ByteCount)) {
    const MOST: u64 = ByteCount::MAX_HTTP.get();
    let mut rest = BTreeMap::new();
    for (key, traffic) in accumulated.iter() {
        let count = |bytes: u64| ByteCount::new(bytes.min(MOST)).unwrap_or(ByteCount::MAX_HTTP);
        each(key, count(traffic.up), count(traffic.down));
        let left = Traffic { up: traffic.up.saturating_sub(MOST), down: traffic.down.saturating_sub(MOST) };
        if !left.is_zero() {
            rest.insert(key.clone(), left);
        }
    }
    *accumulated = Arc::new(rest);
}

fn json_length(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' => 2,
            0..=0x1f => 6,
            _ => 1,
        })
        .sum()
}

/// Adds bytes.
pub(super) fn add<K: Ord + Clone>(accumulated: &mut Accumulated<K>, key: K, traffic: Traffic) {
    if !traffic.is_zero() {
        let sum = Arc::make_mut(accumulated).entry(key).or_default();
        *sum = sum.plus(traffic);
    }
}

/// Makes room: batches that were never sent become fewer, sums per key with the latest of their instants, the two oldest first.
/// Returns what one entry cannot carry, by key. `from` is the first that was never sent.
///
/// Nothing is dropped, so keys that are too many for the batches are not made fewer.
pub(super) fn merge_oldest(
    waiting: &mut VecDeque<Batch<UsageEntry>>,
    from: usize,
    limits: Limits,
) -> Accumulated<UsageKey> {
    let never_sent = waiting.len().saturating_sub(from);
    let mut count = 2.min(never_sent);
    while count >= 2 {
        let mut end = from + count;
        // A whole freeze, or else two batches of one instant could come to hold the same entries.
        let instant = instant(&waiting[end - 1]);
        end += waiting.iter().skip(end).take_while(|batch| self::instant(batch) == instant).count();
        let (merged, rest) = merge(waiting.range(from..end), limits);
        if merged.len() < end - from {
            let after = waiting.split_off(end);
            waiting.truncate(from);
            waiting.extend(merged);
            waiting.extend(after);
            return rest;
        }
        count = if end == waiting.len() { 0 } else { (count * 2).min(never_sent) };
    }
    Accumulated::default()
}

fn instant(batch: &Batch<UsageEntry>) -> Option<Timestamp> {
    batch.entries.first().map(|entry| entry.recorded_at)
}

fn merge<'a>(
    batches: impl Iterator<Item = &'a Batch<UsageEntry>>,
    limits: Limits,
) -> (Vec<Batch<UsageEntry>>, Accumulated<UsageKey>) {
    let (mut sums, mut latest) = (Accumulated::default(), Timestamp::MIN);
    for entry in batches.flat_map(|batch| batch.entries.iter()) {
        let key = (entry.user_id, entry.subscription_id, entry.node_protocol_id);
        add(&mut sums, key, Traffic { up: entry.bytes_up.get(), down: entry.bytes_down.get() });
        latest = latest.max(entry.recorded_at);
    }
    (freeze(&mut sums, latest, limits), sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{HttpBody, OutboundUsage, Usage};

    const LIMITS: Limits = Limits { entries: 500, bytes: 90_000 };

    fn key(user: i64) -> UsageKey {
        (UserId::new(user).unwrap(), None, NodeProtocolId::MAX)
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_unix_milliseconds(milliseconds).unwrap()
    }

    fn accumulated(users: impl IntoIterator<Item = i64>, up: u64) -> Accumulated<UsageKey> {
        Arc::new(users.into_iter().map(|user| (key(user), Traffic { up, down: 0 })).collect())
    }

    #[test]
    fn the_longest_batch_is_within_its_bytes_as_json() {
        let mut most: Accumulated<_> = Arc::default();
        for user in 0..1_001 {
            let key =
                (UserId::new(2_147_483_647 - user).unwrap(), Some(SubscriptionId::MAX), NodeProtocolId::MAX);
            add(&mut most, key, Traffic { up: (1 << 53) - 1, down: (1 << 53) - 1 });
        }
        let batches = freeze(&mut most, Timestamp::MAX, LIMITS);
        assert_eq!(batches.iter().map(|batch| batch.entries.len()).collect::<Vec<_>>(), [500, 500, 1]);
        for batch in batches {
            let json = Usage { entries: batch.entries.to_vec() }.to_json().unwrap();
            assert!(json.len() <= 90_000, "{}", json.len());
        }
    }

    #[test]
    fn outbound_batches_keep_to_their_bytes_whatever_the_tags_are() {
        let mut tags: Accumulated<Box<str>> = Arc::default();
        for number in 0..400 {
            let tag = format!("{number}{}", "\u{1}".repeat(200));
            add(&mut tags, tag.into(), Traffic { up: (1 << 53) - 1, down: 1 });
        }
        let batches = freeze_outbounds(&mut tags, LIMITS);
        assert_eq!(batches.iter().map(|batch| batch.entries.len()).sum::<usize>(), 400);
        for batch in batches {
            let json = OutboundUsage { items: batch.entries.to_vec() }.to_json().unwrap();
            assert!(json.len() <= 90_000, "{}", json.len());
        }
    }

    #[test]
    fn what_one_entry_cannot_carry_stays_for_the_next_instant() {
        let mut one = accumulated([1], (1 << 54) + 5);
        let batches = freeze(&mut one, at(1), LIMITS);
        assert_eq!((batches.len(), batches[0].entries[0].bytes_up), (1, ByteCount::MAX_HTTP));
        assert_eq!(one[&key(1)], Traffic { up: (1 << 53) + 6, down: 0 });
    }

    #[test]
    fn the_two_oldest_become_one_with_the_later_instant() {
        let mut waiting: VecDeque<_> = (0..3)
            .flat_map(|minute| freeze(&mut accumulated([1, 2 + minute], 10), at(minute), LIMITS))
            .collect();
        let rest = merge_oldest(&mut waiting, 0, LIMITS);
        assert!(rest.is_empty());
        let sums = |batch: &Batch<UsageEntry>| {
            batch.entries.iter().map(|entry| (entry.user_id.get(), entry.bytes_up.get())).collect::<Vec<_>>()
        };
        assert_eq!(
            waiting.iter().map(sums).collect::<Vec<_>>(),
            [vec![(1, 20), (2, 10), (3, 10)], vec![(1, 10), (4, 10)]]
        );
        assert_eq!(instant(&waiting[0]), Some(at(1)));
    }

    #[test]
    fn no_batch_of_a_freeze_is_left_that_a_half_of_a_merged_one_could_look_like() {
        let mut waiting: VecDeque<_> = freeze(&mut accumulated([3], 10), at(0), LIMITS).into();
        // The limits were others then.
        waiting.extend(freeze(&mut accumulated(1..=3, 10), at(1), Limits { entries: 2, ..LIMITS }));
        merge_oldest(&mut waiting, 0, LIMITS);
        assert_eq!(waiting.len(), 1);
        let up: Vec<_> = waiting[0].entries.iter().map(|entry| entry.bytes_up.get()).collect();
        assert_eq!(up, [10, 10, 20]);
    }

    #[test]
    fn full_batches_are_merged_by_whole_freezes_and_those_with_other_keys_are_left() {
        let small = Limits { entries: 2, ..LIMITS };
        let mut waiting: VecDeque<_> =
            (0..4).flat_map(|minute| freeze(&mut accumulated(1..=4, 10), at(minute), small)).collect();
        merge_oldest(&mut waiting, 0, small);
        assert_eq!(waiting.len(), 6);
        assert_eq!(
            waiting.iter().map(instant).collect::<Vec<_>>(),
            [1, 1, 2, 2, 3, 3].map(|at_| Some(at(at_)))
        );

        let mut others: VecDeque<_> = (0..4)
            .flat_map(|minute| {
                freeze(&mut accumulated(minute * 10 + 1..minute * 10 + 5, 1), at(minute), small)
            })
            .collect();
        let before = others.clone();
        merge_oldest(&mut others, 0, small);
        assert_eq!(others, before);
    }
}
