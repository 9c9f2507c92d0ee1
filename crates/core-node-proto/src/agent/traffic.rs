//! From samples of counters to batches that Core has taken. §9.1 to §9.3.

use super::Config;
use super::batch::{self, Batch, Limits};
use super::calls::Purpose;
use super::config::Policy;
use super::counters::{Counters, Traffic};
use super::ledger;
use super::machine::{Agent, Life, Timer};
use super::output::{Event, Output, ReturnReason, Returned, ReturnedContent, Sampling};
use super::snapshot::Snapshot;
use super::sync::{SyncInput, map_of};
use crate::Method;
use crate::attribution::{self, Anomaly};
use crate::call::{Call, Outcome};
use crate::config::ClientMap;
use crate::message::{MAX_TEXT_CHARACTERS, OutboundItem, OutboundUsage, Usage, UsageEntry};
use crate::value::{Timestamp, ValueError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// What a sample was asked for.
#[derive(Default)]
pub(super) struct Wanted {
    /// The end of the usage period that is over.
    period_end: Option<Timestamp>,
    is_for_apply: bool,
    is_for_stop: bool,
}

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

/// Sampling and freezing.
impl Agent {
    /// A usage period is over.
    pub(super) fn period_over(&mut self) {
        let period = i64::try_from(self.config.usage_period.as_millis()).unwrap_or(i64::MAX);
        let at = self.clock.at(self.now).unix_milliseconds();
        let end = Timestamp::from_unix_milliseconds(at - at.rem_euclid(period) - 1).ok();
        self.arm_period();
        self.anomalies_told = 0;
        if self.anomalies_more > 0 {
            let more = std::mem::take(&mut self.anomalies_more);
            self.event(Event::MoreAnomalies(more));
        }
        self.want().period_end = end;
    }

    /// Arms the end of the usage period, which is on the wall clock.
    pub(super) fn arm_period(&mut self) {
        let period = i64::try_from(self.config.usage_period.as_millis()).unwrap_or(i64::MAX);
        let at = self.clock.at(self.now).unix_milliseconds();
        let wait = period - at.rem_euclid(period);
        self.period_end = at.saturating_add(wait);
        self.arm(Timer::Period, Duration::from_millis(u64::try_from(wait).unwrap_or(u64::MAX)));
    }

    /// The wall clock was set: the period ends as it says, at once if it says that it has ended.
    pub(super) fn rearm_period(&mut self) {
        // What is due stays due: a driver sets the clock before it lets time pass.
        if !self.timers.is_ahead(&Timer::Period, self.now) {
            return;
        }
        if self.clock.at(self.now).unix_milliseconds() >= self.period_end {
            self.arm(Timer::Period, Duration::ZERO);
        } else {
            self.arm_period();
        }
    }

    pub(super) fn sample_before_apply(&mut self) {
        self.want().is_for_apply = true;
    }

    pub(super) fn sample_before_stop(&mut self) {
        self.want().is_for_stop = true;
    }

    /// Asks for a sample, unless one is awaited.
    fn want(&mut self) -> &mut Wanted {
        if self.wanted.is_none() {
            self.outputs.push_back(Output::Sample(Sampling::Counters));
            self.arm(Timer::Sample, self.config.sample_timeout);
        }
        self.wanted.get_or_insert_default()
    }

    /// A sample has come, or will not: freezes, and goes on with what has waited for it.
    pub(super) fn sampled(&mut self) {
        let Some(wanted) = self.wanted.take() else { return };
        self.timers.set(Timer::Sample, None);
        let (usage_was_idle, outbound_was_idle) =
            (self.state.usage.is_empty(), self.state.outbound.is_empty());
        self.freeze(wanted.period_end);
        if wanted.period_end.is_some() && !wanted.is_for_stop {
            self.spread(usage_was_idle, outbound_was_idle);
        }
        if wanted.period_end.is_some() {
            self.forget_previous();
        }
        if wanted.is_for_apply {
            self.sync(SyncInput::Sampled);
        }
        if wanted.is_for_stop
            && let Life::Stopping { is_sampled, .. } = &mut self.life
        {
            *is_sampled = true;
        }
    }

    pub(super) fn take_counters(&mut self, counters: Counters) {
        let (current, previous) = self.client_maps();
        let empty = ClientMap::default();
        let current = map_of(current.as_ref(), &empty);
        let previous = previous.as_ref().map(|config| config.client_map());
        for sample in counters.proxies {
            let proxy = sample.proxy;
            let mut last = self.state.proxies.remove(&proxy);
            let rises = ledger::take(&mut last, sample);
            self.state.proxies.extend(last.map(|last| (proxy, last)));
            for (name, traffic) in rises.users {
                self.count_user(&name, traffic, current, previous);
            }
            for (tag, traffic) in rises.outbounds {
                self.count_outbound(tag, traffic);
            }
            if rises.is_news {
                self.touch();
            }
        }
    }

    fn count_user(
        &mut self,
        name: &str,
        traffic: Traffic,
        current: &ClientMap,
        previous: Option<&ClientMap>,
    ) {
        let Ok(whose) = attribution::attribute(name, current, previous) else {
            self.state.unattributed = self.state.unattributed.plus(traffic);
            return;
        };
        if let Some(anomaly) = whose.anomaly {
            self.note_anomaly(anomaly);
        }
        let key = (whose.user_id, whose.subscription_id, whose.proto_id);
        batch::add(&mut self.state.users, key, traffic);
    }

    /// Counts what is odd, and tells of the first ones.
    pub(super) fn note_anomaly(&mut self, anomaly: Anomaly) {
        self.dropped.anomalies += 1;
        if self.anomalies_told < self.config.max_anomalies {
            self.anomalies_told += 1;
            self.event(Event::Anomaly(anomaly));
        } else {
            self.anomalies_more += 1;
        }
    }

    fn count_outbound(&mut self, tag: Box<str>, traffic: Traffic) {
        // Core refuses a whole batch for one tag that can be none.
        if ValueError::check_length(&tag, 1, MAX_TEXT_CHARACTERS).is_ok() {
            batch::add(&mut self.state.outbounds, tag, traffic);
        } else {
            self.state.unattributed_outbound = self.state.unattributed_outbound.plus(traffic);
        }
    }

    /// Moves what has accumulated into batches.
    fn freeze(&mut self, period_end: Option<Timestamp>) {
        self.freeze_users(period_end);
        self.freeze_outbounds();
    }

    /// Lets the first batches of a whole period wait, so that not all nodes send at once.
    fn spread(&mut self, usage_was_idle: bool, outbound_was_idle: bool) {
        let is_new = |was_idle: bool, is_empty: bool| was_idle && !is_empty;
        let usage = is_new(usage_was_idle, self.state.usage.is_empty());
        let outbound = is_new(outbound_was_idle, self.state.outbound.is_empty());
        for (timer, is_new) in [(Timer::Usage, usage), (Timer::Outbound, outbound)] {
            if is_new && !self.usage_wait.is_zero() && !self.timers.is_set(&timer) {
                self.arm(timer, self.usage_wait);
            }
        }
    }

    /// Freezes what outbounds have sent, unless an earlier freeze still waits: without an instant there is no use in more.
    fn freeze_outbounds(&mut self) {
        if self.state.outbound.is_empty() && !self.state.outbounds.is_empty() {
            let limits = self.limits();
            self.state.outbound = batch::freeze_outbounds(&mut self.state.outbounds, limits).into();
            self.touch();
        }
    }

    fn freeze_users(&mut self, period_end: Option<Timestamp>) {
        let at = period_end.unwrap_or_else(|| self.clock.at(self.now));
        // After the last instant there is none; then it goes on accumulating.
        let least = match self.state.last_recorded_at {
            Some(Timestamp::MAX) => return,
            Some(last) => last.saturating_add_milliseconds(1),
            None => Timestamp::MIN,
        };
        if self.state.users.is_empty() {
            return;
        }
        let recorded_at = at.max(least);
        let limits = self.limits();
        self.state.usage.extend(batch::freeze(&mut self.state.users, recorded_at, limits));
        self.state.last_recorded_at = Some(recorded_at);
        self.make_room();
        self.touch();
    }

    fn limits(&self) -> Limits {
        Limits { entries: self.config.batch_entries, bytes: self.config.batch_bytes }
    }

    fn make_room(&mut self) {
        while self.state.usage.len() > self.config.max_batches {
            let from = usize::from(self.state.usage.front().is_some_and(|head| head.first_attempt.is_some()));
            let before = self.state.usage.len();
            let limits = self.limits();
            let rest = batch::merge_oldest(&mut self.state.usage, from, limits);
            for (&key, &traffic) in rest.iter() {
                batch::add(&mut self.state.users, key, traffic);
            }
            if self.state.usage.len() == before {
                return;
            }
        }
    }

    /// The map before the one in force has counted for a whole period.
    fn forget_previous(&mut self) {
        let is_over = self.now.saturating_duration_since(self.previous_since) >= self.config.usage_period;
        if is_over && self.state.previous.take().is_some() {
            self.touch();
        }
    }
}

/// Sending.
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
