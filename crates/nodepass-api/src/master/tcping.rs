//! Dials: some at a time, others wait for their turn. §3.

use super::machine::{Master, Timer};
use super::{DialId, ExchangeId, Output, answer};
use crate::wire::TcpingResult;
use http::StatusCode;
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

impl Master {
    pub(super) fn dial(&mut self, dial: Dial) {
        if self.dials.has_room(self.config.max_dials) {
            let (id, timeout) = (DialId(self.draw_id()), self.config.report_interval);
            let target = dial.target.clone();
            self.dials.begin(id, dial);
            self.outputs.push_back(Output::Dial { id, target, timeout });
            // The driver keeps the time; this is for one that does not.
            self.arm(Timer::Dial(id), timeout.saturating_add(self.config.dial_wait));
        } else {
            self.arm(Timer::DialWait(dial.exchange), self.config.dial_wait);
            self.dials.wait(dial);
        }
    }

    pub(super) fn dial_ended(&mut self, id: DialId, outcome: Result<Duration, &str>) {
        self.timers.set(Timer::Dial(id), None);
        let Some(dial) = self.dials.end(id) else { return };
        self.answer_dial(dial, outcome);
        if let Some(next) = self.dials.next() {
            self.timers.set(Timer::DialWait(next.exchange), None);
            self.dial(next);
        }
    }

    pub(super) fn answer_dial(&mut self, dial: Dial, outcome: Result<Duration, &str>) {
        let exchange = dial.exchange;
        self.respond_later(exchange, answer::json(StatusCode::OK, &dial.result(outcome)));
    }
}
