//! The rounds whose requests have not all ended.

use crate::wire::Manifest;
use std::collections::BTreeMap;

/// Open rounds. A target has one report in flight at most, so there are never more of them than targets.
pub(super) struct Rounds {
    open: BTreeMap<u64, Round>,
    number: u64,
}

#[derive(Default)]
pub(super) struct Round {
    in_flight: usize,
    pub(super) succeeded: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
    /// What came with 200s, by target.
    pub(super) offers: Vec<(usize, Manifest)>,
}

impl Rounds {
    pub(super) fn new() -> Self {
        Self { open: BTreeMap::new(), number: 0 }
    }

    pub(super) fn open(&mut self, in_flight: usize, skipped: usize) -> u64 {
        self.number += 1;
        self.open.insert(self.number, Round { in_flight, skipped, ..Round::default() });
        self.number
    }

    pub(super) fn ended(&mut self, number: u64, target: usize, success: bool, offer: Option<Manifest>) {
        let Some(round) = self.open.get_mut(&number) else {
            return;
        };
        round.in_flight -= 1;
        *(if success { &mut round.succeeded } else { &mut round.failed }) += 1;
        round.offers.extend(offer.map(|manifest| (target, manifest)));
    }

    /// Takes a round whose requests have all ended, its offers in the order of the targets.
    pub(super) fn take_finished(&mut self, number: u64) -> Option<Round> {
        if self.open.get(&number)?.in_flight > 0 {
            return None;
        }
        let mut round = self.open.remove(&number)?;
        round.offers.sort_by_key(|&(target, _)| target);
        Some(round)
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }
}
