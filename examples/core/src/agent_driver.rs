//! Drives an [`Agent`] over real transports: one task owns the machine; calls, files and the node's own work run beside it.
//!
//! ```text
//! application ── orders ──▶ run() ── calls ────▶ a task each ── HTTP, gRPC
//!             ◀── news ────       ── states ───▶ a thread    ── the state file
//!                                 ── samples ──▶ a thread    ── the node: measuring, applying
//! ```

use crate::clock;
use crate::links::Links;
use crate::node::{Done, Measured, Node, Worker};
use crate::state_file::{Stored, Writer};
use core_node_proto::Instant;
use core_node_proto::agent::{Agent, CallId, Event, Output};
use core_node_proto::call::{Call, Delivery, Failure, FailureKind, Link, Reply};
use program::sleep_until;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

type Order = Box<dyn FnOnce(&mut Agent, Instant) + Send>;

/// What a driver tells.
#[derive(Debug)]
pub enum News<'a> {
    /// The machine has news.
    Event(&'a Event),
    /// A call has come to its end, or was given up; the machine knows it already.
    Answered {
        /// The call.
        call: &'a Call,
        /// Which way it went.
        link: Link,
        /// What came of it.
        outcome: &'a Result<Reply, Failure>,
        /// When the machine does something next, if nothing comes.
        next: Option<Instant>,
    },
}

/// What an agent runs on.
pub struct Host<N> {
    /// The ways to Core.
    pub links: Links,
    /// Where its state is kept; nowhere without it.
    pub state: Option<PathBuf>,
    /// The machine under it.
    pub node: N,
}

/// Gives orders to a running agent.
#[derive(Clone)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    worker: Worker,
}

impl Handle {
    /// Runs `order` in the agent's task and returns what it returned; `None` once the agent has ended.
    pub async fn order<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut Agent, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Box::new(|agent, now| drop(answer.send(order(agent, now))))).await.ok()?;
        answered.await.ok()
    }

    /// Measures how the node is; `None` if that cannot be.
    pub async fn measure(&self) -> Option<Measured> {
        let (answer, answered) = oneshot::channel();
        self.worker.measure(|measured| drop(answer.send(measured)));
        answered.await.ok().flatten()
    }
}

/// Prepares a driver: who gives orders, and the future that does the work. At `end` the agent stops in order: what there is
/// to say is said and saved.
///
/// `news` gets everything and may give commands.
pub fn driver<N: Node>(
    agent: Agent,
    host: Host<N>,
    mut news: impl FnMut(&mut Agent, News<'_>) + Send,
    end: impl Future<Output = ()> + Send,
) -> (Handle, impl Future<Output = ()> + Send) {
    let (orders, queue) = mpsc::channel(64);
    let (tell, told) = mpsc::unbounded_channel();
    let tell_stored = tell.clone();
    let worker = Worker::start(host.node, move |done| drop(tell.send(Told::Done(done))));
    let driver = Driver {
        agent,
        links: host.links,
        writer: Writer::start(host.state, move |stored| drop(tell_stored.send(Told::Stored(stored)))),
        worker: worker.clone(),
        calls: JoinSet::new(),
        open: HashMap::new(),
    };
    (Handle { orders, worker }, async move { driver.run(queue, told, &mut news, end).await })
}

/// What the threads say.
enum Told {
    Stored(Stored),
    Done(Done),
}

/// A call that is under way.
struct OpenCall {
    call: Arc<Call>,
    link: Link,
    abort: AbortHandle,
}

struct Driver {
    agent: Agent,
    links: Links,
    writer: Writer,
    worker: Worker,
    calls: JoinSet<(CallId, Result<Reply, Failure>)>,
    open: HashMap<CallId, OpenCall>,
}

impl Driver {
    async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        mut told: mpsc::UnboundedReceiver<Told>,
        news: &mut impl FnMut(&mut Agent, News<'_>),
        end: impl Future<Output = ()>,
    ) {
        let (mut end, mut is_ending) = (std::pin::pin!(end), false);
        loop {
            self.drain(news);
            if self.agent.is_closed() {
                return;
            }
            tokio::select! {
                Some(done) = self.calls.join_next() => if let Ok((id, outcome)) = done { // Err: aborted
                    self.answered(id, outcome, news);
                },
                Some(told) = told.recv() => self.told(told),
                Some(order) = orders.recv() => {
                    let now = self.look_at_the_clock();
                    order(&mut self.agent, now);
                }
                () = sleep_until(self.agent.poll_timeout()) => {
                    let now = self.look_at_the_clock();
                    self.agent.handle_timeout(now);
                }
                () = &mut end, if !is_ending => {
                    is_ending = true;
                    let now = self.look_at_the_clock();
                    self.agent.close(now);
                }
            }
        }
    }

    /// The system's clock may have been set since the last look.
    fn look_at_the_clock(&mut self) -> Instant {
        let now = Instant::now();
        self.agent.set_wall_clock(clock::now(), now);
        now
    }

    fn drain(&mut self, news: &mut impl FnMut(&mut Agent, News<'_>)) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Call { id, link, call, key, .. } => {
                    let (links, call) = (self.links.clone(), Arc::new(call));
                    let sent = call.clone();
                    let sending = async move { (id, links.call(link, &sent, key.as_ref()).await) };
                    self.open.insert(id, OpenCall { call, link, abort: self.calls.spawn(sending) });
                }
                Output::Cancel(id) => {
                    if let Some(OpenCall { call, link, abort }) = self.open.remove(&id) {
                        abort.abort();
                        let outcome = &Err(Failure::new(Delivery::Perhaps, FailureKind::TimedOut));
                        let next = self.agent.poll_timeout();
                        news(&mut self.agent, News::Answered { call: &call, link, outcome, next });
                    }
                }
                Output::Store { id, snapshot } => self.writer.write(id, snapshot),
                Output::Sample(sampling) => self.worker.sample(sampling),
                Output::Apply { id, config } => self.worker.apply(id, config),
                Output::Event(event) => news(&mut self.agent, News::Event(&event)),
            }
        }
    }

    fn answered(
        &mut self,
        id: CallId,
        outcome: Result<Reply, Failure>,
        news: &mut impl FnMut(&mut Agent, News<'_>),
    ) {
        let Some(OpenCall { call, link, .. }) = self.open.remove(&id) else { return }; // given up
        let now = self.look_at_the_clock();
        match outcome.clone() {
            Ok(reply) => self.agent.handle_reply(id, reply, now),
            Err(failure) => self.agent.handle_failure(id, failure, now),
        }
        let next = self.agent.poll_timeout();
        news(&mut self.agent, News::Answered { call: &call, link, outcome: &outcome, next });
    }

    fn told(&mut self, told: Told) {
        let now = self.look_at_the_clock();
        match told {
            Told::Stored((id, outcome)) => self.agent.handle_stored(id, outcome, now),
            Told::Done(Done::Counters(counters)) => self.agent.handle_counters(counters, now),
            Told::Done(Done::Stats(stats)) => self.agent.handle_stats(stats, now),
            Told::Done(Done::Online(seen)) => self.agent.handle_online(&seen, now),
            Told::Done(Done::Applied(id, outcome)) => self.agent.handle_applied(id, outcome, now),
        }
    }
}
