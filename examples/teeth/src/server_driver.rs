//! Drives a [`Server`] over TCP: one task owns the machine, one task a connection moves its bytes.
//!
//! ```text
//! application ── orders ──▶ run() ── lines, limited ──▶ task of a connection ── TCP
//!             ◀── events ──       ◀── chunks, bounded ──
//! ```
//!
//! Nothing is taken from the connections while the application has events to fetch: that is the back-pressure. An agent
//! that does not read is cut off at [`Transport::max_unwritten`], so that one of them holds up nobody else.

use crate::link::{Link, Moved, Traffic, Transport};
use bytes::Bytes;
use program::sleep_until;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use teeth_proto::ConnectionId;
use teeth_proto::server::{Event, Output, Server};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use web_time::Instant;

type Order = Box<dyn FnOnce(&mut Server, Instant) + Send>;

/// What the application learns.
#[derive(Debug)]
#[non_exhaustive]
pub enum News {
    /// An agent has connected.
    Connected {
        /// The connection.
        connection: ConnectionId,
        /// Where it comes from.
        address: SocketAddr,
    },
    /// What the machine says.
    Event(Event),
}

/// Gives orders to a running server. Once the last one is dropped the server closes.
#[derive(Clone, Debug)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    traffic: Arc<Traffic>,
}

impl Handle {
    /// Runs `order` in the server's task and returns what it returned; `None` once the server has ended.
    pub async fn order<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut Server, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Box::new(|server, now| drop(answer.send(order(server, now))))).await.ok()?;
        answered.await.ok()
    }

    /// Returns the number of lines each way, over all agents.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }
}

/// Prepares a driver: who gives orders, where news come out, and the future that does the work. Dropping that future
/// closes everything at once.
pub fn driver(
    server: Server,
    listener: TcpListener,
    transport: Transport,
) -> (Handle, mpsc::Receiver<News>, impl Future<Output = ()> + Send) {
    let (orders, order_queue) = mpsc::channel(64);
    let (news, news_queue) = mpsc::channel(64);
    let (inbox, inputs) = mpsc::channel(64);
    let traffic = Arc::<Traffic>::default();
    let driver = Driver {
        server,
        transport,
        traffic: traffic.clone(),
        inbox,
        peers: HashMap::new(),
        tasks: JoinSet::new(),
        backlog: VecDeque::new(),
    };
    (Handle { orders, traffic }, news_queue, driver.run(listener, inputs, order_queue, news))
}

struct Driver {
    server: Server,
    transport: Transport,
    traffic: Arc<Traffic>,
    inbox: mpsc::Sender<(ConnectionId, Input)>,
    peers: HashMap<ConnectionId, Peer>,
    tasks: JoinSet<()>,
    backlog: VecDeque<News>,
}

/// A connection, seen from the machine's task.
struct Peer {
    work: mpsc::UnboundedSender<Work>,
    /// How much of the work's bytes is not yet written.
    unwritten: Arc<AtomicUsize>,
}

/// What a connection has to do. Bounded by `unwritten`.
enum Work {
    Transmit(Bytes),
    Close,
    Reset,
}

/// What a connection has to tell.
enum Input {
    Bytes(Bytes),
    Gone,
}

impl Driver {
    async fn run(
        mut self,
        listener: TcpListener,
        mut inputs: mpsc::Receiver<(ConnectionId, Input)>,
        mut orders: mpsc::Receiver<Order>,
        news: mpsc::Sender<News>,
    ) {
        let mut listener = Some(listener);
        let mut ordered = true;
        loop {
            self.drain();
            if self.server.is_closed() {
                listener = None;
                if self.backlog.is_empty() && self.tasks.is_empty() {
                    return;
                }
            }
            let idle = self.backlog.is_empty();
            tokio::select! {
                accepted = accept(&listener), if idle => self.accept(accepted.0, accepted.1),
                // Also after the end, so that no connection waits to tell something.
                Some((connection, input)) = inputs.recv(), if idle => self.take(connection, input),
                permit = news.reserve(), if !idle => match (permit, self.backlog.pop_front()) {
                    (Ok(permit), Some(oldest)) => permit.send(oldest),
                    _ => {
                        self.backlog.clear();
                        self.server.close(Instant::now()); // nobody listens any more
                    }
                },
                // Also after the end: an application that waits for one fetches no events.
                order = orders.recv(), if ordered => match order {
                    Some(order) => order(&mut self.server, Instant::now()),
                    None => {
                        ordered = false;
                        self.server.close(Instant::now());
                    }
                },
                Some(_) = self.tasks.join_next() => {}
                () = sleep_until(self.server.poll_timeout()) => self.server.handle_timeout(Instant::now()),
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Transmit { connection, bytes } => self.transmit(connection, bytes),
                Output::Disconnect { connection } => self.part(connection, Work::Close),
                Output::Abort { connection } => self.part(connection, Work::Reset),
                Output::Event(event) => self.backlog.push_back(News::Event(event)),
            }
        }
    }

    fn transmit(&mut self, connection: ConnectionId, bytes: Bytes) {
        let Some(peer) = self.peers.get(&connection) else { return };
        let unwritten = peer.unwritten.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        if unwritten > self.transport.max_unwritten {
            self.server.handle_stalled(connection, Instant::now());
            return;
        }
        self.traffic.count_sent();
        let _ = peer.work.send(Work::Transmit(bytes)); // an error: it is about to tell that it is gone
    }

    fn part(&mut self, connection: ConnectionId, last: Work) {
        if let Some(peer) = self.peers.remove(&connection) {
            let _ = peer.work.send(last);
        }
    }

    fn accept(&mut self, stream: TcpStream, address: SocketAddr) {
        let connection = self.server.accept(Instant::now());
        let (work, todo) = mpsc::unbounded_channel();
        let unwritten = Arc::<AtomicUsize>::default();
        self.peers.insert(connection, Peer { work, unwritten: unwritten.clone() });
        self.backlog.push_back(News::Connected { connection, address });
        let inbox = self.inbox.clone();
        let limit = self.transport.close_timeout;
        self.tasks.spawn(serve(connection, Link::new(stream), todo, unwritten, inbox, limit));
    }

    fn take(&mut self, connection: ConnectionId, input: Input) {
        match input {
            Input::Bytes(bytes) => {
                self.traffic.count_received(&bytes);
                self.server.handle_bytes(connection, &bytes, Instant::now());
            }
            Input::Gone => {
                self.peers.remove(&connection);
                self.server.handle_disconnect(connection, Instant::now());
            }
        }
    }
}

async fn accept(listener: &Option<TcpListener>) -> (TcpStream, SocketAddr) {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await; // out of file descriptors, most likely
            }
        }
    }
}

/// Moves the bytes of one connection until it ends, whoever ends it. Holds one chunk that was read at most.
async fn serve(
    connection: ConnectionId,
    mut link: Link,
    mut todo: mpsc::UnboundedReceiver<Work>,
    unwritten: Arc<AtomicUsize>,
    inbox: mpsc::Sender<(ConnectionId, Input)>,
    limit: Duration,
) {
    let mut chunk: Option<Bytes> = None;
    let mut ended = false;
    loop {
        let reading = chunk.is_none() && !ended;
        tokio::select! {
            moved = link.moved(reading) => match moved {
                Moved::Read(bytes) => chunk = Some(bytes),
                Moved::Wrote(count) => drop(unwritten.fetch_sub(count, Ordering::Relaxed)),
                Moved::Ended => {
                    // A half-open connection is not kept, but what is answered so far is still written.
                    ended = true;
                    let _ = inbox.send((connection, Input::Gone)).await;
                }
                Moved::Lost(error) => {
                    tracing::info!(%error, "a connection is lost");
                    let _ = inbox.send((connection, Input::Gone)).await;
                    return;
                }
            },
            permit = inbox.reserve(), if chunk.is_some() => match (permit, chunk.take()) {
                (Ok(permit), Some(bytes)) => permit.send((connection, Input::Bytes(bytes))),
                _ => return,
            },
            work = todo.recv() => match work {
                Some(Work::Transmit(bytes)) => link.push(&bytes),
                Some(Work::Reset) => return link.reset(),
                Some(Work::Close) | None => return link.close(limit).await,
            },
        }
    }
}
