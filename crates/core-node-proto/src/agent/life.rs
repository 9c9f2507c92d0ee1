//! From a code to a key, and what becomes of the key: all transitions of §12, and heartbeats.

use super::calls::{Ended, Purpose};
use super::machine::{A_CENTURY, Agent, Life, Timer};
use super::output::{CommandError, Event, RegistrationRefusal};
use super::sync::SyncInput;
use crate::Secret;
use crate::call::{Call, Failure, FailureKind, Outcome, Reply};
use crate::message::{Heartbeat, Registered};
use crate::value::{NodeId, check_auth_key};
use web_time::Instant;

impl Agent {
    /// Begins with what was restored.
    pub(super) fn begin(&mut self) {
        if self.state.key.is_some() {
            self.activate();
        } else if let Some(code) = self.config.code.clone() {
            self.begin_registration(code);
        } else {
            self.event(Event::NeedsCode);
        }
    }

    pub(super) fn try_register(&mut self, code: Secret) -> Result<(), CommandError> {
        match self.life {
            Life::Unregistered | Life::Unauthorized => {}
            Life::Registering { .. } | Life::Keeping { .. } | Life::Active => {
                return Err(CommandError::Registered);
            }
            Life::Closing { .. } | Life::Closed => return Err(CommandError::Closed),
        }
        self.config.registration(code.clone()).check().map_err(CommandError::Invalid)?;
        self.cancel(Purpose::Heartbeat);
        self.timers.set(Timer::Heartbeat, None);
        self.begin_registration(code);
        Ok(())
    }

    fn begin_registration(&mut self, code: Secret) {
        self.life = Life::Registering { code, failures: 0, may_be_used: false };
        self.send_registration();
    }

    pub(super) fn send_registration(&mut self) {
        let Life::Registering { code, .. } = &self.life else { return };
        let call = Call::Register(self.config.registration(code.clone()));
        if !self.send(Purpose::Register, call) {
            self.arm(Timer::Register, self.config.missing_wait);
        }
    }

    pub(super) fn registration_ended(&mut self, ended: Ended) {
        let Life::Registering { failures, may_be_used, .. } = &mut self.life else { return };
        let was_used = *may_be_used;
        *may_be_used |= ended.outcome == Outcome::Ambiguous;
        let refusal = match ended.result {
            Ok(Reply::Registered(registered)) => match registered.check() {
                Ok(()) => return self.registered(registered),
                Err(error) => Some((RegistrationRefusal::Unusable(error), true)),
            },
            Ok(_) => None,
            Err(failure) => refusal(&failure).map(|reason| {
                let is_used = was_used || matches!(reason, RegistrationRefusal::Unusable(_));
                (reason, is_used)
            }),
        };
        if let Some((reason, may_be_used)) = refusal {
            self.event(Event::RegistrationRefused { reason, may_be_used });
            return self.end_registration();
        }
        let before = *failures;
        *failures = failures.saturating_add(1);
        let wait = self.backoff(before);
        self.arm(Timer::Register, wait);
    }

    fn end_registration(&mut self) {
        if self.state.key.is_none() {
            self.life = Life::Unregistered;
        } else {
            self.life = Life::Unauthorized;
            self.arm(Timer::Heartbeat, self.config.unauthorized_interval);
        }
    }

    fn registered(&mut self, registered: Registered) {
        let Registered { auth_key, node_id } = registered;
        self.event(Event::Registered { node_id: node_id.clone() });
        self.keep_key(auth_key, Some(node_id));
    }

    pub(super) fn try_set_key(&mut self, key: Secret, node_id: Option<NodeId>) -> Result<(), CommandError> {
        if matches!(self.life, Life::Closing { .. } | Life::Closed) {
            return Err(CommandError::Closed);
        }
        check_auth_key(&key).map_err(CommandError::Key)?;
        self.cancel(Purpose::Register);
        self.timers.set(Timer::Register, None);
        self.keep_key(key, node_id);
        Ok(())
    }

    /// Stores a key before anything else is done with it. §3.5.
    fn keep_key(&mut self, key: Secret, node_id: Option<NodeId>) {
        self.state.key = Some(key);
        self.state.node_id = node_id.or_else(|| self.state.node_id.take());
        self.key_generation += 1;
        self.touch();
        self.life = Life::Keeping { gate: self.storing.change };
    }

    /// Goes on with a key that is stored.
    pub(super) fn use_stored_key(&mut self) {
        if let Life::Keeping { gate } = self.life
            && self.storing.has(gate)
        {
            self.activate();
        }
    }

    fn activate(&mut self) {
        self.life = Life::Active;
        self.event(Event::Active);
        self.send_heartbeat();
        let first = self.config.heartbeat_interval.min(A_CENTURY).mul_f64(1.0 - self.random.f64());
        self.arm(Timer::Heartbeat, first);
        self.arm(Timer::Stats, self.config.stats_interval);
        self.arm(Timer::Online, self.config.online_interval);
        self.retry_traffic();
        self.retry_reports();
        self.resume_sync();
    }

    /// Core does not know the key. Counting goes on, calls do not.
    pub(super) fn refused_key(&mut self) {
        match &mut self.life {
            Life::Active => {}
            Life::Closing { may_call, .. } => {
                *may_call = false;
                return;
            }
            // Known already, or a word on a key that is not used any more.
            Life::Unauthorized | Life::Unregistered | Life::Registering { .. } => return,
            Life::Keeping { .. } | Life::Closed => return,
        }
        self.life = Life::Unauthorized;
        self.event(Event::Unauthorized);
        for timer in [Timer::Stats, Timer::Online] {
            self.timers.set(timer, None);
        }
        self.arm(Timer::Heartbeat, self.config.unauthorized_interval);
    }

    pub(super) fn send_heartbeat(&mut self) {
        if !self.is_flying(Purpose::Heartbeat) {
            let call = self.heartbeat();
            self.send(Purpose::Heartbeat, call);
        }
    }

    /// Tries gRPC while HTTP stands in for it.
    pub(super) fn probe(&mut self) {
        if self.may_call() && !self.is_flying(Purpose::Probe) {
            let call = self.heartbeat();
            self.send(Purpose::Probe, call);
        }
    }

    fn heartbeat(&self) -> Call {
        let ip = self.config.heartbeat_has_ip.then_some(self.config.ip);
        Call::Heartbeat(Heartbeat { ip, revision: self.storing.revision() })
    }

    pub(super) fn heartbeat_due(&mut self, at: Instant) {
        let period = match self.life {
            Life::Active => self.config.heartbeat_interval,
            Life::Unauthorized => self.config.unauthorized_interval,
            Life::Unregistered | Life::Registering { .. } | Life::Keeping { .. } => return,
            Life::Closing { .. } | Life::Closed => return,
        };
        self.arm_next(Timer::Heartbeat, at, period);
        self.send_heartbeat();
    }

    pub(super) fn heartbeat_ended(&mut self, ended: &Ended) {
        let (Outcome::Acked, Ok(Reply::Heartbeat(reply))) = (ended.outcome, &ended.result) else { return };
        if matches!(self.life, Life::Unauthorized) {
            self.activate();
        }
        if reply.need_sync {
            self.sync(SyncInput::NeedSync);
        } else {
            self.repeated_syncs = 0;
            self.sync(SyncInput::InStep);
        }
    }
}

/// Returns why Core does not take the node, or `None` if it may on another try. §3.6.
fn refusal(failure: &Failure) -> Option<RegistrationRefusal> {
    match &failure.kind {
        FailureKind::Http(408 | 429) => None,
        FailureKind::Http(status) if (400..500).contains(status) => {
            Some(RegistrationRefusal::Status(*status))
        }
        FailureKind::Unreadable(error) => Some(RegistrationRefusal::Unusable(error.clone())),
        _ => None,
    }
}
