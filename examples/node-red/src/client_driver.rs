//! Drives a [`Client`] over WebSocket and HTTP: one task owns the machine and the connection of the moment.
//!
//! ```text
//! application ── orders ──▶ run() ── frames ───▶ WebSocket
//!             ◀── news ────       ◀── frames ──
//!                                 ── requests ─▶ tasks of exchanges ── HTTP/1.1
//! ```
//!
//! Reading pauses while the application has news to fetch: that is the back-pressure. Orders are always taken, so the
//! application may wait for one wherever it likes; it should not publish more than the runtime reads, since at
//! [`Transport::max_unwritten`] the connection ends.

use crate::connector::{Connector, Problem, Stream};
use crate::link::{Link, Moved, TOO_LONG, Traffic, Transport};
use bytes::Bytes;
use http::Response;
use nodered_comms::ConnectionId;
use nodered_comms::client::{Client, Event, Output, RequestId};
use program::sleep_until;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
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
    /// No connection came about, for this reason.
    ConnectFailed(Problem),
    /// A request to the admin API has no answer, for this reason.
    RequestFailed(Problem),
    /// What else the machine says.
    Event(Event),
}

type Order = Box<dyn FnOnce(&mut Client, Instant) + Send>;
type Connecting = Pin<Box<dyn Future<Output = Result<Link<Stream>, Problem>> + Send>>;
type Exchange = (RequestId, Result<Response<Bytes>, Problem>);

/// Gives orders to a running client. Once the last one is dropped the client closes.
#[derive(Clone, Debug)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    traffic: Arc<Traffic>,
}

impl Handle {
    /// Runs `order` in the client's task and returns what it returned; `None` once the client has ended.
    pub async fn order<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut Client, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Box::new(|client, now| drop(answer.send(order(client, now))))).await.ok()?;
        answered.await.ok()
    }

    /// Returns the number of frames each way.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }
}

/// Prepares a driver: who gives orders, where news come out, and the future that does the work. Dropping that future
/// closes everything at once.
pub fn driver(
    client: Client,
    connector: Connector,
    transport: Transport,
) -> (Handle, mpsc::Receiver<News>, impl Future<Output = ()> + Send) {
    let (orders, order_queue) = mpsc::channel(64);
    let (news, news_queue) = mpsc::channel(64);
    let traffic = Arc::<Traffic>::default();
    let driver = Driver {
        client,
        connector,
        transport,
        traffic: traffic.clone(),
        connecting: None,
        link: None,
        exchanges: JoinSet::new(),
        aborts: HashMap::new(),
        farewells: JoinSet::new(),
        backlog: VecDeque::new(),
    };
    (Handle { orders, traffic }, news_queue, driver.run(order_queue, news))
}

struct Driver {
    client: Client,
    connector: Connector,
    transport: Transport,
    traffic: Arc<Traffic>,
    connecting: Option<(ConnectionId, Connecting)>,
    link: Option<(ConnectionId, Link<Stream>)>,
    exchanges: JoinSet<Exchange>,
    aborts: HashMap<RequestId, AbortHandle>,
    /// Connections that are over and have last frames to write.
    farewells: JoinSet<()>,
    backlog: VecDeque<News>,
}

impl Driver {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>, news: mpsc::Sender<News>) {
        let mut ordered = true;
        loop {
            self.drain();
            if self.client.is_closed() && self.backlog.is_empty() && self.farewells.is_empty() {
                return;
            }
            let reading = self.backlog.is_empty();
            tokio::select! {
                connected = connected(&mut self.connecting) => self.connected(connected),
                moved = moved(&mut self.link, reading) => self.moved(moved),
                Some(done) = self.exchanges.join_next() => if let Ok((id, outcome)) = done { // Err: aborted
                    self.answered(id, outcome);
                },
                permit = news.reserve(), if !self.backlog.is_empty() => match (permit, self.backlog.pop_front()) {
                    (Ok(permit), Some(oldest)) => permit.send(oldest),
                    _ => {
                        self.backlog.clear();
                        self.client.close(Instant::now()); // nobody listens any more
                    }
                },
                // Also after the end: an application that waits for one fetches no news.
                order = orders.recv(), if ordered => match order {
                    Some(order) => order(&mut self.client, Instant::now()),
                    None => {
                        ordered = false;
                        self.client.close(Instant::now());
                    }
                },
                Some(_) = self.farewells.join_next() => {}
                () = sleep_until(self.client.poll_timeout()) => self.client.handle_timeout(Instant::now()),
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Connect { connection, attempt } => {
                self.backlog.push_back(News::Connecting { attempt });
                let connector = self.connector.clone();
                let config = self.client.config();
                let (url, max_frame) = (config.endpoint.comms(), config.max_frame);
                let connect = async move { connector.web_socket(url, max_frame).await };
                self.connecting = Some((connection, Box::pin(connect)));
            }
            Output::Transmit { connection, text } => {
                if let Some((_, link)) = self.link.as_mut().filter(|(current, _)| *current == connection) {
                    self.traffic.count_sent();
                    link.push(text.into());
                    if link.unwritten() > self.transport.max_unwritten {
                        self.link = None;
                        self.client.handle_stalled(connection, Instant::now());
                    }
                }
            }
            Output::Disconnect { connection } => {
                self.connecting.take_if(|(current, _)| *current == connection);
                self.part(connection, None);
            }
            Output::Request { id, request } => {
                let connector = self.connector.clone();
                let exchange = async move { (id, connector.exchange(request).await) };
                self.aborts.insert(id, self.exchanges.spawn(exchange));
            }
            Output::Cancel(id) => {
                if let Some(exchange) = self.aborts.remove(&id) {
                    exchange.abort();
                }
            }
            Output::Event(event) => self.backlog.push_back(News::Event(event)),
        }
    }

    /// Closes a connection, once its last frames are written.
    fn part(&mut self, connection: ConnectionId, code: Option<u16>) {
        if let Some((_, link)) = self.link.take_if(|(current, _)| *current == connection) {
            self.farewells.spawn(link.close(code, self.transport.close_timeout));
        }
    }

    fn connected(&mut self, outcome: Result<Link<Stream>, Problem>) {
        let Some((connection, _)) = self.connecting.take() else { return };
        match outcome {
            Ok(link) => {
                self.link = Some((connection, link));
                self.client.handle_connected(connection, Instant::now());
            }
            Err(problem) => {
                self.backlog.push_back(News::ConnectFailed(problem));
                self.client.handle_connect_failed(connection, Instant::now());
            }
        }
    }

    fn answered(&mut self, id: RequestId, outcome: Result<Response<Bytes>, Problem>) {
        self.aborts.remove(&id);
        match outcome {
            Ok(response) => self.client.handle_response(id, response, Instant::now()),
            Err(problem) => {
                let kind = problem.kind();
                self.backlog.push_back(News::RequestFailed(problem));
                self.client.handle_failure(id, kind, Instant::now());
            }
        }
    }

    fn moved(&mut self, moved: Moved) {
        let Some((connection, _)) = self.link else { return };
        match moved {
            Moved::Read(text) => {
                self.traffic.count_received();
                self.client.handle_text(connection, &text, Instant::now());
            }
            Moved::Wrote(_) => {}
            Moved::Ended => {
                self.part(connection, None);
                self.client.handle_disconnect(connection, Instant::now());
            }
            Moved::Refused(code) => {
                tracing::warn!(code, "a frame of the runtime is refused");
                self.part(connection, Some(code));
                if code == TOO_LONG {
                    self.client.handle_frame_too_long(connection, Instant::now());
                } else {
                    self.client.handle_disconnect(connection, Instant::now());
                }
            }
            Moved::Lost(error) => {
                tracing::info!(%error, "the connection is lost");
                self.link = None;
                self.client.handle_disconnect(connection, Instant::now());
            }
        }
    }
}

async fn connected(connecting: &mut Option<(ConnectionId, Connecting)>) -> Result<Link<Stream>, Problem> {
    match connecting {
        Some((_, connecting)) => connecting.await,
        None => std::future::pending().await,
    }
}

async fn moved(link: &mut Option<(ConnectionId, Link<Stream>)>, reading: bool) -> Moved {
    match link {
        Some((_, link)) => link.moved(reading).await,
        None => std::future::pending().await,
    }
}
