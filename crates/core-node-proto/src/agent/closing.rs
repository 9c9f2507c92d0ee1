//! The end: sample, freeze, store, one last try to send.

use super::calls::Purpose;
use super::machine::{Agent, Life, Timer};
use super::output::{CommandError, Event};

impl Agent {
    pub(super) fn check_open(&self) -> Result<(), CommandError> {
        match self.life {
            Life::Closing { .. } | Life::Closed => Err(CommandError::Closed),
            Life::Unregistered | Life::Registering { .. } | Life::Keeping { .. } => Ok(()),
            Life::Active | Life::Unauthorized => Ok(()),
        }
    }

    pub(super) fn begin_closing(&mut self) {
        let may_call = self.may_call();
        self.life = Life::Closing { may_call, is_sampled: false };
        for purpose in [
            Purpose::Register,
            Purpose::Heartbeat,
            Purpose::Probe,
            Purpose::Fetch,
            Purpose::Confirm,
            Purpose::Stats,
            Purpose::Online,
        ] {
            self.cancel(purpose);
        }
        for timer in [
            Timer::Register,
            Timer::Heartbeat,
            Timer::Probe,
            Timer::Period,
            Timer::Stats,
            Timer::Online,
            Timer::Confirm,
            Timer::Cooling,
        ] {
            self.timers.set(timer, None);
        }
        self.end_sync();
        self.retry_traffic();
        self.retry_reports();
        self.sample_before_closing();
        // Without a sample there is still something to send, and time for it.
        self.arm(Timer::Sample, self.config.sample_timeout.min(self.config.close_timeout / 2));
        self.arm(Timer::Close, self.config.close_timeout);
    }

    /// Comes to the end when there is nothing left to send or to store.
    pub(super) fn finish(&mut self) {
        let Life::Closing { is_sampled: true, .. } = self.life else { return };
        // What has failed once waits for a timer, and is not waited for.
        if self.flights.is_empty() && self.storing.is_clean() {
            self.end();
        }
    }

    /// Comes to the end, whatever is left. What was sent and has no outcome is stored as such.
    pub(super) fn end(&mut self) {
        let flying: Vec<Purpose> = self.flights.keys().copied().collect();
        for purpose in flying {
            self.cancel(purpose);
        }
        self.dropped.sessions += self.sessions.waiting.len() as u64;
        self.sessions.waiting.clear();
        self.life = Life::Closed;
        self.timers.clear();
        let is_stored = self.storing.is_clean();
        self.event(Event::Closed { is_stored });
    }
}
