//! From counters that rise to what they rose by. §9.1.

use super::counters::{ProxyCounters, Traffic};
use crate::value::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Counters by name.
pub(super) type Table = BTreeMap<Box<str>, Traffic>;

/// The last values of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) started_at: Timestamp,
    /// Shared with the snapshots that are being stored.
    pub(super) users: Arc<Table>,
    pub(super) outbounds: Arc<Table>,
}

/// What a counter without a last value is compared with.
#[derive(Clone, Copy)]
enum Unseen {
    /// It began at 0 after all that is known.
    Zero,
    /// Itself: nobody knows what of it was reported.
    Itself,
}

/// What a sample has brought.
#[derive(Default)]
pub(super) struct Rises {
    pub(super) users: Vec<(Box<str>, Traffic)>,
    pub(super) outbounds: Vec<(Box<str>, Traffic)>,
    /// Whether anything is to be stored.
    pub(super) is_news: bool,
}

/// Takes a sample of a process: returns what rose, and leaves the sample as the last values.
pub(super) fn take(last: &mut Option<Last>, sample: ProxyCounters) -> Rises {
    let before = last.take();
    // Of a process after another one, or one that was sampled before, it is known that an unseen counter began at 0.
    let unseen = if before.is_some() || sample.started_by_agent { Unseen::Zero } else { Unseen::Itself };
    let known = before.filter(|last| last.started_at == sample.started_at);
    let was_known = known.is_some();
    let mut known = known.unwrap_or_else(|| Last {
        started_at: sample.started_at,
        users: Arc::default(),
        outbounds: Arc::default(),
    });
    let (users, new_users) = rises(&mut known.users, sample.users, unseen);
    let (outbounds, new_outbounds) = rises(&mut known.outbounds, sample.outbounds, unseen);
    *last = Some(known);
    Rises { users, outbounds, is_news: !was_known || new_users || new_outbounds }
}

fn rises(last: &mut Arc<Table>, sample: Table, unseen: Unseen) -> (Vec<(Box<str>, Traffic)>, bool) {
    if **last == sample {
        return (Vec::new(), false);
    }
    let mut rises = Vec::new();
    for (name, &value) in &sample {
        let before = last.get(name).copied().unwrap_or(match unseen {
            Unseen::Zero => Traffic::default(),
            Unseen::Itself => value,
        });
        let rise = value.since(before);
        if !rise.is_zero() {
            rises.push((name.clone(), rise));
        }
    }
    *last = Arc::new(sample);
    (rises, true)
}
