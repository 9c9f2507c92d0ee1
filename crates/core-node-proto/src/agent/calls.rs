//! Calls under way: each kind at most once, each with a deadline.

use super::machine::{Agent, Life, Timer};
use super::output::{CallId, Output};
use super::sync::{Fetch, SyncInput};
use crate::Method;
use crate::call::{Call, Delivery, Failure, FailureKind, Link, Outcome, Reply};
use crate::message::{OutboundItem, UsageEntry};
use std::time::Duration;

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    Register,
    Heartbeat,
    /// A heartbeat by gRPC while HTTP stands in for it.
    Probe,
    Usage,
    Outbound,
    Sessions,
    Fetch,
    Confirm,
    Error,
    Stats,
    Online,
}

/// A call under way.
pub(super) struct Flight {
    pub(super) id: CallId,
    pub(super) link: Link,
    method: Method,
    /// Which key it carries: a word on an earlier one says nothing about the one of now.
    generation: u64,
}

/// How a call has ended.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) result: Result<Reply, Failure>,
}

impl Agent {
    /// Sends a call of which none is under way. Returns whether there is a way for it.
    pub(super) fn send(&mut self, purpose: Purpose, call: Call) -> bool {
        let method = call.method();
        let link = match purpose {
            Purpose::Probe => Some(Link::Grpc),
            _ => self.link.choose(method, self.now),
        };
        let Some(link) = link else { return false };
        let id = CallId(self.next_id());
        let timeout = self.time_limit(purpose);
        let key = self.state.key.clone().filter(|_| purpose != Purpose::Register);
        self.flights.insert(purpose, Flight { id, link, method, generation: self.key_generation });
        self.arm(Timer::Call(purpose), timeout);
        self.outputs.push_back(Output::Call { id, link, call, key, timeout });
        true
    }

    fn time_limit(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::Fetch => self.config.config_timeout,
            Purpose::Stats => self.config.stats_interval,
            Purpose::Online => self.config.online_interval,
            _ => self.config.call_timeout,
        }
    }

    pub(super) fn is_flying(&self, purpose: Purpose) -> bool {
        self.flights.contains_key(&purpose)
    }

    /// Gives a call up, without a word on what became of it.
    pub(super) fn cancel(&mut self, purpose: Purpose) {
        if let Some(flight) = self.flights.remove(&purpose) {
            self.timers.set(Timer::Call(purpose), None);
            self.outputs.push_back(Output::Cancel(flight.id));
        }
    }

    /// A call took too long.
    pub(super) fn call_timed_out(&mut self, purpose: Purpose) {
        if let Some(flight) = self.flights.remove(&purpose) {
            self.outputs.push_back(Output::Cancel(flight.id));
            self.ended(purpose, &flight, Err(Failure::new(Delivery::Perhaps, FailureKind::TimedOut)));
        }
    }

    /// Takes the outcome of a call, if it is still wanted.
    pub(super) fn take_outcome(&mut self, id: CallId, result: Result<Reply, Failure>) {
        let purpose = self.flights.iter().find(|(_, flight)| flight.id == id).map(|(&purpose, _)| purpose);
        let Some(purpose) = purpose else { return };
        self.timers.set(Timer::Call(purpose), None);
        if let Some(flight) = self.flights.remove(&purpose) {
            self.ended(purpose, &flight, result);
        }
    }

    fn ended(&mut self, purpose: Purpose, flight: &Flight, result: Result<Reply, Failure>) {
        self.note_link(purpose, flight, &result);
        let mut outcome = outcome(flight, &result);
        if outcome == Outcome::Auth && purpose != Purpose::Register {
            if flight.generation == self.key_generation {
                self.refused_key();
            } else {
                outcome = Outcome::NotApplied;
            }
        }
        if outcome == Outcome::Missing && !matches!(purpose, Purpose::Register | Purpose::Probe) {
            self.note_missing(flight.method, flight.link);
        }
        self.dispatch(purpose, Ended { outcome, result });
    }

    fn dispatch(&mut self, purpose: Purpose, ended: Ended) {
        match purpose {
            Purpose::Register => self.registration_ended(ended),
            Purpose::Heartbeat | Purpose::Probe => self.heartbeat_ended(&ended),
            Purpose::Usage => self.batch_ended::<UsageEntry>(ended.outcome),
            Purpose::Outbound => self.batch_ended::<OutboundItem>(ended.outcome),
            Purpose::Sessions => self.sessions_ended(ended.outcome),
            Purpose::Fetch => self.sync(match ended.result {
                Ok(Reply::Config(reply)) => SyncInput::Fetched(reply),
                Ok(_) => SyncInput::NotFetched(Fetch::Failed),
                Err(failure) => SyncInput::NotFetched(Fetch::of(&failure.kind)),
            }),
            Purpose::Confirm => self.sync(SyncInput::Confirmed(ended.outcome)),
            Purpose::Error => self.error_ended(ended.outcome),
            Purpose::Stats => self.dropped.stats += u64::from(ended.outcome != Outcome::Acked),
            Purpose::Online => self.dropped.online += u64::from(ended.outcome != Outcome::Acked),
        }
    }

    /// Whether calls other than heartbeats and registration may go out.
    pub(super) fn may_call(&self) -> bool {
        matches!(self.life, Life::Active)
    }

    /// Whether what must not be lost may go out: also once, at the end.
    pub(super) fn may_flush(&self) -> bool {
        matches!(self.life, Life::Active | Life::Closing { may_call: true, is_sampled: true })
    }
}

/// Returns what became of what a call carried. §9.3.
fn outcome(flight: &Flight, result: &Result<Reply, Failure>) -> Outcome {
    let reply = match result {
        Ok(reply) => reply,
        Err(failure) => return failure.outcome(),
    };
    let is_of_method = match reply {
        Reply::Registered(_) => flight.method == Method::Register,
        Reply::Heartbeat(_) => flight.method == Method::Heartbeat,
        Reply::Config(_) => flight.method == Method::GetLatestConfig,
        Reply::Acknowledged(_) => {
            !matches!(flight.method, Method::Register | Method::Heartbeat | Method::GetLatestConfig)
        }
    };
    match flight.link {
        _ if !is_of_method => Outcome::Ambiguous,
        _ if reply.is_ok() => Outcome::Acked,
        Link::Grpc => Outcome::NotApplied,
        Link::Http => Outcome::Ambiguous,
    }
}
