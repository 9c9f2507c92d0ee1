//! From frozen batches to those that Core has taken. §9.3.

use super::Config;
use super::batch::Batch;
use super::calls::Purpose;
use super::config::Policy;
use super::machine::{Agent, Timer};
use super::output::{Event, ReturnReason, Returned, ReturnedContent};
use super::snapshot::Snapshot;
use crate::Method;
use crate::call::{Call, Outcome};
use crate::message::{OutboundItem, OutboundUsage, Usage, UsageEntry};
use crate::value::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How the oldest batch fares. None of it is stored: a batch that was sent before a restart may have been taken.
#[derive(Default)]
pub(super) struct Sending {
    /// The change that says that it is sent; it waits until that is stored.
    gate: Option<u64>,
    /// Whether Core may have taken it already.
    may_be_taken: bool,
    failures: u32,
}

/// What batches of users and of outbounds differ in.
pub(super) trait Entry: Clone {
    const METHOD: Method;
    const PURPOSE: Purpose;
    const TIMER: Timer;
    fn waiting(state: &mut Snapshot) -> &mut VecDeque<Batch<Self>>;
    fn sending(agent: &mut Agent) -> &mut Sending;
    fn policy(config: &Config) -> Policy;
    fn call(entries: &[Self]) -> Call;
    fn content(entries: Arc<[Self]>) -> ReturnedContent;
}

impl Entry for UsageEntry {
    const METHOD: Method = Method::ReportUsage;
    const PURPOSE: Purpose = Purpose::Usage;
    const TIMER: Timer = Timer::Usage;
    fn waiting(state: &mut Snapshot) -> &mut VecDeque<Batch<Self>> {
        &mut state.usage
    }
    fn sending(agent: &mut Agent) -> &mut Sending {
        &mut agent.usage
    }
    fn policy(config: &Config) -> Policy {
        config.usage_policy
    }
    fn call(entries: &[Self]) -> Call {
        Call::ReportUsage(Usage { entries: entries.to_vec() })
    }
    fn content(entries: Arc<[Self]>) -> ReturnedContent {
        ReturnedContent::Usage(entries)
    }
}

impl Entry for OutboundItem {
    const METHOD: Method = Method::ReportOutboundUsage;
    const PURPOSE: Purpose = Purpose::Outbound;
    const TIMER: Timer = Timer::Outbound;
    fn waiting(state: &mut Snapshot) -> &mut VecDeque<Batch<Self>> {
        &mut state.outbound
    }
    fn sending(agent: &mut Agent) -> &mut Sending {
        &mut agent.outbound
    }
    fn policy(config: &Config) -> Policy {
        config.outbound_policy
    }
    fn call(entries: &[Self]) -> Call {
        Call::ReportOutboundUsage(OutboundUsage { items: entries.to_vec() })
    }
    fn content(entries: Arc<[Self]>) -> ReturnedContent {
        ReturnedContent::Outbound(entries)
    }
}

impl Agent {
    /// Makes the oldest batch ready to be sent, or gives it back if it must not be.
    pub(super) fn prepare<E: Entry>(&mut self) {
        while !self.is_flying(E::PURPOSE) {
            let Some(head) = E::waiting(&mut self.state).front() else { return };
            let first_attempt = head.first_attempt;
            let may_go = self.may_go::<E>();
            let Some(first_attempt) = first_attempt else {
                if may_go {
                    self.mark::<E>();
                }
                return;
            };
            let sending = E::sending(self);
            // Only what was restored has a first attempt and no gate.
            sending.may_be_taken |= sending.gate.is_none();
            sending.gate.get_or_insert(0);
            match (sending.may_be_taken, may_go) {
                (true, true) => {}
                (false, false) => return self.unmark::<E>(),
                (true, false) | (false, true) => return,
            }
            let now = self.clock.at(self.now);
            match E::policy(&self.config) {
                Policy::Resend if !is_older(first_attempt, self.config.resend_window, now) => return,
                Policy::Resend | Policy::Quarantine => self.give_back::<E>(ReturnReason::Quarantined),
                Policy::Discard => self.give_back::<E>(ReturnReason::Discarded),
            }
        }
    }

    /// Whether batches may go out now. Without a way for them they wait for one.
    fn may_go<E: Entry>(&mut self) -> bool {
        if !self.may_flush() || self.timers.is_set(&E::TIMER) {
            return false;
        }
        let has_way = self.link.choose(E::METHOD, self.now).is_some();
        if !has_way {
            self.arm(E::TIMER, self.config.missing_wait);
        }
        has_way
    }

    /// Notes that the oldest batch may be Core's from now on.
    fn mark<E: Entry>(&mut self) {
        let now = self.clock.at(self.now);
        let Some(head) = E::waiting(&mut self.state).front_mut() else { return };
        head.first_attempt = Some(now);
        self.touch();
        E::sending(self).gate = Some(self.storing.change);
    }

    /// Notes that the oldest batch is not Core's: it was not sent, or certainly not taken.
    fn unmark<E: Entry>(&mut self) {
        let Some(head) = E::waiting(&mut self.state).front_mut() else { return };
        head.first_attempt = None;
        self.touch();
        E::sending(self).gate = None;
    }

    pub(super) fn send_batch<E: Entry>(&mut self) {
        let gate = E::sending(self).gate;
        let is_ready = gate.is_some_and(|gate| self.storing.has(gate)) && !self.is_flying(E::PURPOSE);
        if !is_ready || !self.may_go::<E>() {
            return;
        }
        let Some(head) = E::waiting(&mut self.state).front_mut() else { return };
        head.attempts = head.attempts.saturating_add(1);
        let call = E::call(&head.entries);
        self.send(E::PURPOSE, call);
    }

    pub(super) fn batch_ended<E: Entry>(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Acked => {
                self.take_head::<E>();
            }
            Outcome::NotApplied => self.hold::<E>(),
            // It waits for a key that Core knows, or goes another way.
            Outcome::Auth | Outcome::Missing => {}
            // A Core that took it before would have known it again.
            Outcome::Rejected => self.isolate::<E>(),
            Outcome::TooLarge if E::sending(self).may_be_taken => {
                self.give_back::<E>(ReturnReason::Quarantined);
            }
            Outcome::TooLarge => self.isolate::<E>(),
            Outcome::Ambiguous => {
                E::sending(self).may_be_taken = true;
                if E::policy(&self.config) == Policy::Resend {
                    self.hold::<E>();
                }
            }
        }
    }

    fn hold<E: Entry>(&mut self) {
        let sending = E::sending(self);
        let failures = sending.failures;
        sending.failures = failures.saturating_add(1);
        let wait = self.backoff(failures);
        self.arm(E::TIMER, wait);
    }

    fn take_head<E: Entry>(&mut self) -> Option<Batch<E>> {
        *E::sending(self) = Sending::default();
        self.timers.set(E::TIMER, None);
        self.touch();
        E::waiting(&mut self.state).pop_front()
    }

    /// Finds the entry that Core does not take, by halves.
    fn isolate<E: Entry>(&mut self) {
        let Some(head) = E::waiting(&mut self.state).front() else { return };
        let Some([left, right]) = head.halves() else {
            return self.give_back::<E>(ReturnReason::Refused);
        };
        self.take_head::<E>();
        let waiting = E::waiting(&mut self.state);
        waiting.push_front(right);
        waiting.push_front(left);
    }

    /// Takes the oldest batch out and keeps it until the application was told.
    fn give_back<E: Entry>(&mut self, reason: ReturnReason) {
        let Some(batch) = self.take_head::<E>() else { return };
        let number = self.state.next_returned;
        self.state.next_returned = number.saturating_add(1);
        self.state.returned.push(Returned { number, reason, content: E::content(batch.entries) });
        self.returned_gate = self.storing.change;
    }

    /// Tells the application what it gets back, once that is stored.
    pub(super) fn hand_over(&mut self) {
        if self.state.returned.is_empty() || !self.storing.has(self.returned_gate) {
            return;
        }
        for returned in std::mem::take(&mut self.state.returned) {
            self.event(Event::Returned(returned));
        }
        self.touch();
    }

    /// Lets what waits for another try go at once: there is a way again.
    pub(super) fn retry_traffic(&mut self) {
        for timer in [Timer::Usage, Timer::Outbound] {
            self.timers.set(timer, None);
        }
        (self.usage.failures, self.outbound.failures) = (0, 0);
    }
}

fn is_older(than: Timestamp, window: Duration, now: Timestamp) -> bool {
    let age = now.unix_milliseconds().saturating_sub(than.unix_milliseconds());
    u128::try_from(age).is_ok_and(|age| age > window.as_millis())
}
