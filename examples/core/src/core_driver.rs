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
use crate::links;
use bytes::Bytes;
use core_node_proto::Instant;
use core_node_proto::call::{Failure, Incoming, Refusal, Reply};
use core_node_proto::core::{Core, Event, ExchangeId, FetchId, Output, RequestId, Tables};
use core_node_proto::message::RuntimeStatus;
use core_node_proto::value::{Timestamp, UserId};
use http::{Request, Response};
use program::client::Client;
use program::sleep_until;
use std::collections::{HashMap, VecDeque};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

/// Calls taken between two drains at most.
const BATCH: usize = 64;

type Order = Box<dyn FnOnce(&mut Role, Instant) + Send>;
/// What became of a fetch of a node's own status.
pub type Fetched = Result<Box<RuntimeStatus>, Failure>;

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
    fetches: HashMap<FetchId, oneshot::Sender<Fetched>>,
    is_replaced: bool,
}

impl Role {
    /// How many events the journal keeps.
    pub const JOURNAL: usize = 1024;

    /// Returns a machine with its tables.
    #[must_use]
    pub fn new(core: Core, tables: Tables, clock: Clock) -> Self {
        Self { core, tables, clock, journal: VecDeque::new(), fetches: HashMap::new(), is_replaced: false }
    }

    /// Begins anew with another machine. Calls under way are refused.
    pub fn replace(&mut self, core: Core, tables: Tables, clock: Clock) {
        *self = Self { is_replaced: true, ..Self::new(core, tables, clock) };
    }

    /// Sends the outcome of a fetch there.
    pub fn await_fetch(&mut self, id: FetchId, outcome: oneshot::Sender<Fetched>) {
        self.fetches.insert(id, outcome);
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

/// Prepares a driver: who gives it calls and orders, and the future that does the work until `end`, or until nobody is left who
/// could give any. It returns the machine with what is stored.
///
/// `news` gets every event.
pub fn driver(
    role: Role,
    client: Client,
    mut news: impl FnMut(&mut Role, &Event) + Send,
    end: impl Future<Output = ()> + Send,
) -> (Handle, impl Future<Output = Role> + Send) {
    let (inputs, inbox) = mpsc::channel(1024);
    let driver =
        Driver { role, client, waiting: HashMap::new(), requests: JoinSet::new(), aborts: HashMap::new() };
    (Handle(inputs), async move { driver.run(inbox, &mut news, end).await })
}

struct Driver {
    role: Role,
    client: Client,
    waiting: HashMap<ExchangeId, oneshot::Sender<Result<Reply, Refusal>>>,
    requests: JoinSet<(RequestId, Result<Response<Bytes>, Failure>)>,
    aborts: HashMap<RequestId, AbortHandle>,
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
                count = inbox.recv_many(&mut batch, BATCH) => match count {
                    0 => return self.role, // nobody can ask for anything any more
                    _ => self.take(&mut batch, news),
                },
                Some(done) = self.requests.join_next() => if let Ok((id, outcome)) = done { // Err: aborted
                    self.answered(id, outcome);
                },
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
            self.aborts.clear();
            self.requests = JoinSet::new();
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
                Output::Query { id, query } => {
                    let addresses = self.role.tables.addresses(&query);
                    self.role.core.handle_addresses(id, Ok(addresses), self.role.clock.now());
                }
                Output::Request { id, request } => self.request(id, request),
                Output::Cancel(id) => {
                    if let Some(task) = self.aborts.remove(&id) {
                        task.abort();
                    }
                }
                Output::Event(event) => self.tell(event, news),
            }
        }
    }

    fn request(&mut self, id: RequestId, request: Request<Bytes>) {
        // One byte more than the machine takes, so that it sees when there is too much.
        let limit = self.role.core.config().max_response.saturating_add(1);
        let client = self.client.clone();
        let exchange = async move { (id, client.exchange(request, limit).await.map_err(links::failure)) };
        self.aborts.insert(id, self.requests.spawn(exchange));
    }

    fn answered(&mut self, id: RequestId, outcome: Result<Response<Bytes>, Failure>) {
        self.aborts.remove(&id);
        let now = self.look_at_the_clock();
        match outcome {
            Ok(response) => self.role.core.handle_response(id, response, now),
            Err(failure) => self.role.core.handle_failure(id, failure, now),
        }
    }

    fn tell(&mut self, event: Event, news: &mut impl FnMut(&mut Role, &Event)) {
        news(&mut self.role, &event);
        match event {
            Event::UserOnline { user, at } => {
                if self.role.journal.len() == Role::JOURNAL {
                    self.role.journal.pop_front();
                }
                self.role.journal.push_back((user, at));
            }
            Event::RuntimeStatus { id, outcome, .. } => {
                if let Some(waiting) = self.role.fetches.remove(&id) {
                    let _ = waiting.send(outcome); // an error: who asked has gone away
                }
            }
            _ => {}
        }
    }
}
