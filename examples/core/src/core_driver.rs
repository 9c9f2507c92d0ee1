//! Drives a [`Core`]: one task owns the machine and its tables, connections send it their calls.
//!
//! ```text
//! connections ── calls ───▶ run() ── requests ──▶ a task each ── HTTP (addresses' information, live status of a node)
//! application ── orders ──▶       ── changes ───▶ Tables, in memory
//! ```
//!
//! The tables take a change at once, so every call is answered by the drain that follows it. With a real database, `Store`
//! is handed to a task of its own, and its end comes back as an input.

use crate::clock::Clock;
use core_node_proto::call::{Failure, Incoming, Refusal, Reply};
use core_node_proto::core::{Core, Event, ExchangeId, Output, Tables};
use core_node_proto::message::RuntimeStatus;
use core_node_proto::Instant;
use program::client::Client;
use program::sleep_until;
use core_node_proto::value::{Timestamp, UserId};
use std::collections::{HashMap, VecDeque};
use tokio::sync::{mpsc, oneshot};

/// Calls taken between two drains at most.
const BATCH: usize = 64;

type Order = Box<dyn FnOnce(&mut Role, Instant) + Send>;
/// What became of a fetch of a node's own status.
pub type Fetched = Result<RuntimeStatus, Failure>;

/// What the task that owns the machine is told.
pub(crate) enum Input {
    /// A node calls.
    Call(Incoming, oneshot::Sender<Result<Reply, Refusal>>),
    /// The application wants something.
    Order(Order),
}

/// The machine with what belongs to it.
pub struct Role {
    /// The machine.
    pub core: Core,
    /// What it stores.
    pub tables: Tables,
    /// Its time of day.
    pub clock: Clock,
    /// Who came online and when: the latest [`Role::JOURNAL`] of them.
    pub journal: VecDeque<(UserId, Timestamp)>,
    is_replaced: bool,
}

impl Role {
    /// How many events the journal keeps.
    pub const JOURNAL: usize = 1024;

    /// Returns a machine with its tables.
    #[must_use]
    pub fn new(core: Core, tables: Tables, clock: Clock) -> Self {
        Self { core, tables, clock, journal: VecDeque::new(), is_replaced: false }
    }

    /// Begins anew with another machine. Calls under way are refused.
    pub fn replace(&mut self, core: Core, tables: Tables, clock: Clock) {
        *self = Self { is_replaced: true, ..Self::new(core, tables, clock) };
    }
}

/// Gives orders to a running Core.
#[derive(Clone)]
pub struct Handle(mpsc::Sender<Input>);

impl Handle {
    /// Runs `order` in the machine's task and returns what it returned; `None` once the machine has ended.
    pub async fn order<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut Role, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let order = Box::new(|role: &mut Role, now| drop(answer.send(order(role, now))));
        self.0.send(Input::Order(order)).await.ok()?;
        answered.await.ok()
    }

    /// Hands over an input; returns whether there is still a machine.
    pub(crate) async fn send(&self, input: Input) -> bool {
        self.0.send(input).await.is_ok()
    }
}

/// Prepares a driver: who gives it calls and orders, and the future that does the work until `end`.
///
/// `news` gets every event.
pub fn driver(
    role: Role,
    client: Client,
    mut news: impl FnMut(&mut Role, &Event) + Send,
    end: impl Future<Output = ()> + Send,
) -> (Handle, impl Future<Output = Role> + Send) {
    let (inputs, inbox) = mpsc::channel(1024);
    let driver = Driver { role, client, waiting: HashMap::new() };
    (Handle(inputs), async move { driver.run(inbox, &mut news, end).await })
}

struct Driver {
    role: Role,
    client: Client,
    waiting: HashMap<ExchangeId, oneshot::Sender<Result<Reply, Refusal>>>,
}

impl Driver {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Input>,
        news: &mut impl FnMut(&mut Role, &Event),
        end: impl Future<Output = ()>,
    ) -> Role {
        let mut end = std::pin::pin!(end);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            self.drain(news);
            // While the clock stands still nothing becomes due.
            let deadline = self.role.core.poll_timeout().filter(|_| self.role.clock == Clock::System);
            tokio::select! {
                _ = inbox.recv_many(&mut batch, BATCH) => self.take(&mut batch, news),
                () = sleep_until(deadline) => {
                    let now = self.look_at_the_clock();
                    self.role.core.handle_timeout(now);
                }
                () = &mut end => return self.role,
            }
        }
    }

    fn take(&mut self, batch: &mut Vec<Input>, news: &mut impl FnMut(&mut Role, &Event)) {
        let now = self.look_at_the_clock();
        for input in batch.drain(..) {
            match input {
                Input::Call(incoming, answer) => {
                    let id = self.role.core.handle_call(incoming, now);
                    self.waiting.insert(id, answer); // before the next drain, which may already answer
                }
                Input::Order(order) => {
                    self.drain(news);
                    let now = self.look_at_the_clock();
                    order(&mut self.role, now);
                    self.forget_the_replaced();
                }
            }
        }
    }

    /// The system's clock may have been set since the last look.
    fn look_at_the_clock(&mut self) -> Instant {
        let now = self.role.clock.now();
        self.role.core.set_wall_clock(self.role.clock.read(), now);
        now
    }

    fn forget_the_replaced(&mut self) {
        if std::mem::take(&mut self.role.is_replaced) {
            self.waiting.clear();
        }
    }

    fn drain(&mut self, news: &mut impl FnMut(&mut Role, &Event)) {
        while let Some(output) = self.role.core.poll_output() {
            match output {
                Output::Reply { id, outcome } => {
                    if let Some(answer) = self.waiting.remove(&id) {
                        let _ = answer.send(outcome); // an error: the node has gone away
                    }
                }
                Output::Store { id, changes } => {
                    self.role.tables.apply(&changes);
                    self.role.core.handle_stored(id, Ok(()), self.role.clock.now());
                }
                Output::SetOnline { .. } => {} // the machine remembers them itself; here belongs a Redis
                Output::Event(event) => self.tell(event, news),
            }
        }
    }

    fn tell(&mut self, event: Event, news: &mut impl FnMut(&mut Role, &Event)) {
        news(&mut self.role, &event);
        if let Event::UserOnline { user, at } = event {
            if self.role.journal.len() == Role::JOURNAL {
                self.role.journal.pop_front();
            }
            self.role.journal.push_back((user, at));
        }
    }
}
