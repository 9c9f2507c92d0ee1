//! Drives an [`Agent`] over TCP: one task owns the machine and the connection of the moment.
//!
//! ```text
//! application ── orders ──▶ run() ── bytes ──▶ TCP
//!             ◀── events ──       ◀── bytes ──
//! ```
//!
//! Reading pauses while the application has events to fetch: that is the back-pressure. Orders are always taken, so the
//! application may wait for one wherever it likes; it should not order more than the server reads, since at
//! [`Transport::max_unwritten`] the connection ends.

use crate::link::{Link, Moved, Traffic, Transport};
use program::sleep_until;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use teeth_proto::ConnectionId;
use teeth_proto::agent::{Agent, Event, Output};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use web_time::Instant;

/// What the application learns.
#[derive(Debug)]
#[non_exhaustive]
pub enum News {
    /// A connection is being opened.
    Connecting {
        /// Counted from 1 since the waits last started anew.
        attempt: u32,
    },
    /// No connection came about.
    ConnectFailed {
        /// Counted as in [`Connecting`](Self::Connecting).
        attempt: u32,
        /// What the system said; `None` if it took too long.
        error: Option<io::Error>,
    },
    /// What else the machine says.
    Event(Event),
}

type Order = Box<dyn FnOnce(&mut Agent, Instant) + Send>;
type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// Gives orders to a running agent. Once the last one is dropped the agent closes.
#[derive(Clone, Debug)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    traffic: Arc<Traffic>,
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

    /// [`order`](Self::order) for threads that may block.
    pub fn order_blocking<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut Agent, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.orders.blocking_send(Box::new(|agent, now| drop(answer.send(order(agent, now))))).ok()?;
        answered.blocking_recv().ok()
    }

    /// Returns the number of lines each way.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }
}

/// Prepares a driver that connects to `server` (`HOST:PORT`): who gives orders, where events come out, and the future
/// that does the work.
pub fn driver(
    agent: Agent,
    server: impl Into<String>,
    transport: Transport,
) -> (Handle, mpsc::Receiver<News>, impl Future<Output = ()> + Send) {
    let (orders, order_queue) = mpsc::channel(64);
    let (news, news_queue) = mpsc::channel(64);
    let traffic = Arc::<Traffic>::default();
    let driver = Driver {
        agent,
        server: server.into(),
        transport,
        traffic: traffic.clone(),
        connecting: None,
        attempt: 0,
        connect_error: None,
        link: None,
        farewells: JoinSet::new(),
        backlog: VecDeque::new(),
    };
    (Handle { orders, traffic }, news_queue, driver.run(order_queue, news))
}

struct Driver {
    agent: Agent,
    server: String,
    transport: Transport,
    traffic: Arc<Traffic>,
    connecting: Option<(ConnectionId, Connecting)>,
    attempt: u32,
    connect_error: Option<io::Error>,
    link: Option<(ConnectionId, Link)>,
    /// Connections that are over and have last lines to write.
    farewells: JoinSet<()>,
    backlog: VecDeque<News>,
}

impl Driver {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>, news: mpsc::Sender<News>) {
        let mut ordered = true;
        loop {
            self.drain();
            if self.agent.is_closed() && self.backlog.is_empty() && self.farewells.is_empty() {
                return;
            }
            let reading = self.backlog.is_empty();
            tokio::select! {
                connected = connected(&mut self.connecting) => self.connected(connected),
                moved = moved(&mut self.link, reading) => self.moved(moved),
                permit = news.reserve(), if !self.backlog.is_empty() => match (permit, self.backlog.pop_front()) {
                    (Ok(permit), Some(oldest)) => permit.send(oldest),
                    _ => {
                        self.backlog.clear();
                        self.agent.close(Instant::now()); // nobody listens any more
                    }
                },
                // Also after the end: an application that waits for one fetches no events.
                order = orders.recv(), if ordered => match order {
                    Some(order) => order(&mut self.agent, Instant::now()),
                    None => {
                        ordered = false;
                        self.agent.close(Instant::now());
                    }
                },
                Some(_) = self.farewells.join_next() => {}
                () = sleep_until(self.agent.poll_timeout()) => self.agent.handle_timeout(Instant::now()),
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.agent.poll_output() {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Connect { connection, attempt } => {
                (self.attempt, self.connect_error) = (attempt, None);
                self.backlog.push_back(News::Connecting { attempt });
                let server = self.server.clone();
                let connect = async move { TcpStream::connect(server).await };
                self.connecting = Some((connection, Box::pin(connect)));
            }
            Output::Transmit { connection, bytes } => {
                if let Some((_, link)) = self.link.as_mut().filter(|(current, _)| *current == connection) {
                    self.traffic.count_sent();
                    link.push(&bytes);
                    if link.unwritten() > self.transport.max_unwritten {
                        self.agent.handle_stalled(connection, Instant::now());
                    }
                }
            }
            Output::Disconnect { connection } => {
                self.connecting.take_if(|(current, _)| *current == connection);
                if let Some(link) = self.take_link(connection) {
                    self.farewells.spawn(link.close(self.transport.close_timeout));
                }
            }
            Output::Abort { connection } => {
                if let Some(link) = self.take_link(connection) {
                    link.reset();
                }
            }
            Output::Event(Event::ConnectFailed { .. }) => {
                let error = self.connect_error.take();
                self.backlog.push_back(News::ConnectFailed { attempt: self.attempt, error });
            }
            Output::Event(event) => self.backlog.push_back(News::Event(event)),
        }
    }

    fn take_link(&mut self, connection: ConnectionId) -> Option<Link> {
        self.link.take_if(|(current, _)| *current == connection).map(|(_, link)| link)
    }

    fn connected(&mut self, outcome: io::Result<TcpStream>) {
        let Some((connection, _)) = self.connecting.take() else { return };
        match outcome {
            Ok(stream) => {
                self.link = Some((connection, Link::new(stream)));
                self.agent.handle_connected(connection, Instant::now());
            }
            Err(error) => {
                self.connect_error = Some(error);
                self.agent.handle_connect_failed(connection, Instant::now());
            }
        }
    }

    fn moved(&mut self, moved: Moved) {
        let Some((connection, _)) = self.link else { return };
        match moved {
            Moved::Read(bytes) => {
                self.traffic.count_received(&bytes);
                self.agent.handle_bytes(connection, &bytes, Instant::now());
            }
            Moved::Wrote(_) => {}
            Moved::Ended => {
                // A half-open connection is not kept, but what was answered so far is still written.
                if let Some(link) = self.take_link(connection) {
                    self.farewells.spawn(link.close(self.transport.close_timeout));
                }
                self.agent.handle_disconnect(connection, Instant::now());
            }
            Moved::Lost(error) => {
                tracing::info!(%error, "the connection is lost");
                self.link = None;
                self.agent.handle_disconnect(connection, Instant::now());
            }
        }
    }
}

async fn connected(connecting: &mut Option<(ConnectionId, Connecting)>) -> io::Result<TcpStream> {
    match connecting {
        Some((_, connecting)) => connecting.await,
        None => std::future::pending().await,
    }
}

async fn moved(link: &mut Option<(ConnectionId, Link)>, reading: bool) -> Moved {
    match link {
        Some((_, link)) => link.moved(reading).await,
        None => std::future::pending().await,
    }
}
