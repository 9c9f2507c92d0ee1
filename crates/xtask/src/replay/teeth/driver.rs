//! A faithful driver on a virtual clock.

use super::machine::{Machine, Seen};
use super::recording::{Answered, End};
use crate::json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use teeth_proto::session::AnswerToken;
use teeth_proto::{CallId, ConnectionId};

/// The machine, the clock, and what the machine has done.
pub(super) struct Driver {
    pub(super) machine: Machine,
    pub(super) now: Instant,
    pub(super) links: BTreeMap<ConnectionId, Link>,
    /// An agent asked for this connection then.
    pub(super) attempt: Option<(ConnectionId, Instant)>,
    /// The last wait before a connection.
    pub(super) wait: Duration,
    /// Which of the next attempts are refused; later ones are not.
    refused: VecDeque<bool>,
    /// What commands of the application are called in the recording.
    pub(super) calls: BTreeMap<CallId, String>,
    pub(super) answered: VecDeque<Answered>,
}

/// What has come over a connection and was not compared yet.
#[derive(Default)]
pub(super) struct Link {
    pub(super) lines: VecDeque<(Instant, Value)>,
    pub(super) asked: VecDeque<AnswerToken>,
    pub(super) end: Option<(Instant, End)>,
}

impl Driver {
    pub(super) fn new(machine: Machine, refused: VecDeque<bool>, now: Instant) -> Self {
        let mut driver = Self {
            machine,
            now,
            links: BTreeMap::new(),
            attempt: None,
            wait: Duration::ZERO,
            refused,
            calls: BTreeMap::new(),
            answered: VecDeque::new(),
        };
        driver.drain();
        driver
    }

    /// Does something to the machine and carries out what it then wants.
    pub(super) fn act<T>(&mut self, action: impl FnOnce(&mut Machine, Instant) -> T) -> T {
        let done = action(&mut self.machine, self.now);
        self.drain();
        done
    }

    /// Lets time pass up to a point; stops earlier once `enough` holds.
    pub(super) fn advance(&mut self, to: Instant, enough: impl Fn(&Self) -> bool) {
        while !enough(self) {
            match self.machine.poll_timeout().filter(|at| *at <= to) {
                Some(at) => {
                    self.now = self.now.max(at);
                    self.act(Machine::handle_timeout);
                    if self.machine.poll_timeout().is_some_and(|next| next <= self.now) {
                        return; // a deadline that does not move: what it holds up is missed
                    }
                }
                None => {
                    self.now = self.now.max(to);
                    return;
                }
            }
        }
    }

    pub(super) fn link(&mut self, connection: ConnectionId) -> &mut Link {
        self.links.entry(connection).or_default()
    }

    fn drain(&mut self) {
        let now = self.now;
        while let Some(seen) = self.machine.poll() {
            match seen {
                Seen::Connect(connection) => self.connect(connection),
                Seen::Waits(wait) => self.wait = wait,
                Seen::Line(connection, line) => self.link(connection).lines.push_back((now, line)),
                Seen::End(connection, end) => self.link(connection).end = Some((now, end)),
                Seen::Asked(connection, token) => self.link(connection).asked.push_back(token),
                Seen::Answered { call, is_error, value } => {
                    let id = self.calls.get(&call).cloned().unwrap_or_default();
                    self.answered.push_back(Answered { id, is_error, value });
                }
                Seen::Nothing => {}
            }
        }
    }

    fn connect(&mut self, connection: ConnectionId) {
        if self.refused.pop_front() == Some(true) {
            self.machine.connect_failed(connection, self.now);
        } else {
            self.attempt = Some((connection, self.now));
        }
    }
}
