//! Dials: some at a time, others wait for their turn. §3.4.

use super::{DialId, ExchangeId};
use crate::wire::TcpingResult;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

#[derive(Default)]
pub(super) struct Dials {
    open: BTreeMap<DialId, Dial>,
    waiting: VecDeque<Dial>,
}

#[derive(Clone)]
pub(super) struct Dial {
    pub(super) exchange: ExchangeId,
    pub(super) target: Box<str>,
}

impl Dials {
    pub(super) fn has_room(&self, most: usize) -> bool {
        self.open.len() < most
    }

    pub(super) fn begin(&mut self, id: DialId, dial: Dial) {
        self.open.insert(id, dial);
    }

    pub(super) fn wait(&mut self, dial: Dial) {
        self.waiting.push_back(dial);
    }

    pub(super) fn end(&mut self, id: DialId) -> Option<Dial> {
        self.open.remove(&id)
    }

    pub(super) fn next(&mut self) -> Option<Dial> {
        self.waiting.pop_front()
    }

    /// Takes one that waits out of its turn.
    pub(super) fn give_up(&mut self, exchange: ExchangeId) -> Option<Dial> {
        let at = self.waiting.iter().position(|dial| dial.exchange == exchange)?;
        self.waiting.remove(at)
    }
}

impl Dial {
    pub(super) fn result(self, outcome: Result<Duration, &str>) -> TcpingResult {
        let latency = outcome.map_or(0, |taken| u64::try_from(taken.as_millis()).unwrap_or(u64::MAX));
        TcpingResult {
            target: self.target,
            connected: outcome.is_ok(),
            latency,
            error: outcome.err().map(Into::into),
            ..TcpingResult::default()
        }
    }
}
