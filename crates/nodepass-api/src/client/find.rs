//! The search for the routes. §1.

use super::exchanges::Purpose;
use super::machine::{Path, Timer};
use super::{Call, Client, Event, Layout, Reply, RequestError};

impl Client {
    /// Begins the search, or knows already.
    pub(super) fn find(&mut self) {
        self.timers.set(Timer::Probe, None);
        if !matches!(self.path, Path::Waiting) {
            return;
        }
        match self.config.layout {
            Some(layout) => {
                self.found(layout);
                self.send_held();
                self.resume();
            }
            None => {
                self.path = Path::Probing;
                self.send(Purpose::Probe(Layout::Versioned), Call::Info);
            }
        }
    }

    pub(super) fn probed(&mut self, layout: Layout, outcome: Result<Reply, RequestError>) {
        match (layout, outcome) {
            (_, Ok(Reply::Info(info))) => {
                self.found(layout);
                // First: what may be sent depends on the release.
                self.informed(info);
                self.send_held();
                self.arm(Timer::Info, self.config.info_interval);
                self.resume_monitor();
            }
            // The place is right, the key is not.
            (_, Err(RequestError::Unauthorized(_))) => {
                self.found(layout);
                self.send_held();
                self.resume();
            }
            (Layout::Versioned, Err(error)) if !is_here(&error) => {
                self.send(Purpose::Probe(Layout::Plain), Call::Info);
            }
            (_, Err(error)) => self.missed(error),
            (_, Ok(_)) => self.missed(RequestError::NotThere),
        }
    }

    /// There is an object, but something of it is not as it should be. The place is right, and calls may go well.
    pub(super) fn probed_in_part(&mut self, layout: Layout, reason: RequestError) {
        self.found(layout);
        self.info_failed(reason);
        self.send_held();
        self.resume_monitor();
    }

    fn found(&mut self, layout: Layout) {
        let base = self.config.endpoint.base(layout);
        self.misses = 0;
        self.path = Path::Known(base.clone());
        self.event(Event::Found { base });
    }

    fn send_held(&mut self) {
        for call in std::mem::take(&mut self.held) {
            self.send_call(call);
        }
    }

    fn missed(&mut self, reason: RequestError) {
        self.misses = self.misses.saturating_add(1);
        let wait = self.back_off(self.misses, self.config.retry);
        self.path = Path::Waiting;
        self.arm(Timer::Probe, Some(wait));
        self.event(Event::NotFound { reason: reason.clone(), wait });
        let held = std::mem::take(&mut self.held);
        for id in held {
            self.fail(id, reason.clone());
        }
    }
}

/// Whether this place answers as masters do, or nothing answers: the other place would not be better.
fn is_here(error: &RequestError) -> bool {
    match error {
        RequestError::NotThere
        | RequestError::NotFound
        | RequestError::MethodNotAllowed
        | RequestError::Undecodable(_) => false,
        RequestError::Status { status, .. } => status.is_server_error(),
        _ => true,
    }
}
