//! From samples of counters to frozen batches. §9.1, §9.2.

use super::batch::{self, Limits};
use super::counters::{Counters, Traffic};
use super::ledger;
use super::machine::{Agent, Life, Timer};
use super::output::{Event, Output, Sampling};
use super::sync::{SyncInput, map_of};
use crate::attribution::{self, Anomaly};
use crate::config::ClientMap;
use crate::message::MAX_TEXT_CHARACTERS;
use crate::value::{Timestamp, ValueError};
use std::time::Duration;

/// What a sample was asked for.
#[derive(Default)]
pub(super) struct Wanted {
    /// The end of the usage period that is over.
    period_end: Option<Timestamp>,
    is_for_apply: bool,
    is_for_stop: bool,
}

impl Agent {
    /// A usage period is over.
    pub(super) fn period_over(&mut self) {
        let period = i64::try_from(self.config.usage_interval.as_millis()).unwrap_or(i64::MAX);
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
        let period = i64::try_from(self.config.usage_interval.as_millis()).unwrap_or(i64::MAX);
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

    pub(super) fn sample_before_closing(&mut self) {
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
            && let Life::Closing { is_sampled, .. } = &mut self.life
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
        let is_over = self.now.saturating_duration_since(self.previous_since) >= self.config.usage_interval;
        if is_over && self.state.previous.take().is_some() {
            self.touch();
        }
    }
}
