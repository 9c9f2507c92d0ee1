//! Drives a [`Runtime`] over WebSocket: one task owns the machine, one task a connection moves its frames. The few routes
//! of the admin API that logging in takes are on the same port.
//!
//! ```text
//! application ── orders ──▶ run() ── frames, limited ──▶ task of a connection ── WebSocket
//!             ◀── news ────       ◀── frames, bounded ──
//!                                 ◀── upgraded ──────── task of a connection ── HTTP/1.1
//! ```
//!
//! Nothing is taken from the connections while the application has news to fetch: that is the back-pressure. An editor
//! that does not read is cut off at [`Transport::max_unwritten`], so that one of them holds up nobody else.

use crate::admin::{Admin, Answer};
use crate::link::{Link, Moved, TOO_LONG, Traffic, Transport, web_socket_config, weight};
use bytes::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nodered_comms::ConnectionId;
use nodered_comms::runtime::{Access, Event, Output, Runtime, User};
use program::sleep_until;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::Role;
use web_time::Instant;

type Order = Box<dyn FnOnce(&mut Runtime, Instant) + Send>;

/// What the application learns.
#[derive(Debug)]
#[non_exhaustive]
pub enum News {
    /// An editor has connected.
    Connected {
        /// The connection.
        connection: ConnectionId,
        /// Where it comes from.
        address: SocketAddr,
    },
    /// What the machine says.
    Event(Event),
}

/// Gives orders to a running runtime. Once the last one is dropped the runtime closes.
#[derive(Clone, Debug)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    traffic: Arc<Traffic>,
}

impl Handle {
    /// Runs `order` in the runtime's task and returns what it returned; `None` once the runtime has ended.
    pub async fn order<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut Runtime, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Box::new(|runtime, now| drop(answer.send(order(runtime, now))))).await.ok()?;
        answered.await.ok()
    }

    /// Returns the number of frames each way, over all editors.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }
}

/// Prepares a driver: who gives orders, where news come out, and the future that does the work. Dropping that future
/// closes everything at once.
pub fn driver(
    runtime: Runtime,
    listener: TcpListener,
    admin: Admin,
    transport: Transport,
) -> (Handle, mpsc::Receiver<News>, impl Future<Output = ()> + Send) {
    let (orders, order_queue) = mpsc::channel(64);
    let (news, news_queue) = mpsc::channel(64);
    let (inbox, inputs) = mpsc::channel(16);
    let traffic = Arc::<Traffic>::default();
    let config = runtime.config();
    let front = Front { admin, access: config.access.clone(), max_frame: config.max_frame };
    let driver = Driver {
        runtime,
        front: Arc::new(front),
        transport,
        traffic: traffic.clone(),
        inbox,
        peers: HashMap::new(),
        visitors: JoinSet::new(),
        tasks: JoinSet::new(),
        backlog: VecDeque::new(),
    };
    (Handle { orders, traffic }, news_queue, driver.run(listener, inputs, order_queue, news))
}

struct Driver {
    runtime: Runtime,
    front: Arc<Front>,
    transport: Transport,
    traffic: Arc<Traffic>,
    inbox: mpsc::Sender<(ConnectionId, Input)>,
    peers: HashMap<ConnectionId, Peer>,
    /// Connections that speak HTTP, perhaps until they are upgraded.
    visitors: JoinSet<Option<Upgraded>>,
    tasks: JoinSet<()>,
    backlog: VecDeque<News>,
}

/// What a connection needs to know while it speaks HTTP.
struct Front {
    admin: Admin,
    access: Access,
    max_frame: usize,
}

/// A connection of comms, before the machine knows it.
struct Upgraded {
    link: Link<TcpStream>,
    address: SocketAddr,
    user: Option<User>,
}

/// A connection, seen from the machine's task.
struct Peer {
    work: mpsc::UnboundedSender<Work>,
    /// How much of the work's frames is not yet written.
    unwritten: Arc<AtomicUsize>,
}

/// What a connection has to do. Bounded by `unwritten`.
enum Work {
    Transmit(Bytes),
    Close(Option<u16>),
    Drop,
}

/// What a connection has to tell.
enum Input {
    Text(Utf8Bytes),
    Gone,
    /// A frame is longer than the limit.
    TooLong,
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
            if self.runtime.is_closed() {
                listener = None;
                self.visitors.abort_all();
                if self.backlog.is_empty() && self.tasks.is_empty() {
                    return;
                }
            }
            let idle = self.backlog.is_empty();
            let has_room = self.visitors.len() < self.front.admin.limits().max_http_connections;
            tokio::select! {
                accepted = accept(&listener), if has_room => {
                    self.visitors.spawn(visit(accepted.0, accepted.1, self.front.clone()));
                }
                Some(visitor) = self.visitors.join_next(), if idle => if let Ok(Some(upgraded)) = visitor {
                    self.take_in(upgraded);
                },
                // Also after the end, so that no connection waits to tell something.
                Some((connection, input)) = inputs.recv(), if idle => self.take(connection, input),
                permit = news.reserve(), if !idle => match (permit, self.backlog.pop_front()) {
                    (Ok(permit), Some(oldest)) => permit.send(oldest),
                    _ => {
                        self.backlog.clear();
                        self.runtime.close(Instant::now()); // nobody listens any more
                    }
                },
                // Also after the end: an application that waits for one fetches no news.
                order = orders.recv(), if ordered => match order {
                    Some(order) => order(&mut self.runtime, Instant::now()),
                    None => {
                        ordered = false;
                        self.runtime.close(Instant::now());
                    }
                },
                Some(_) = self.tasks.join_next() => {}
                () = sleep_until(self.runtime.poll_timeout()) => self.runtime.handle_timeout(Instant::now()),
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.runtime.poll_output() {
            match output {
                Output::Transmit { connection, text } => self.transmit(connection, text),
                Output::Disconnect { connection, code } => self.part(connection, Work::Close(code)),
                Output::LookUp { id, token } => {
                    let now = Instant::now();
                    let user = self.front.admin.look_up(&token, now);
                    self.runtime.handle_user(id, user, now);
                }
                Output::Event(event) => self.backlog.push_back(News::Event(event)),
            }
        }
    }

    fn transmit(&mut self, connection: ConnectionId, text: Bytes) {
        let Some(peer) = self.peers.get(&connection) else { return };
        let weight = weight(&text);
        let unwritten = peer.unwritten.fetch_add(weight, Ordering::Relaxed) + weight;
        if unwritten > self.transport.max_unwritten {
            // It would not read a goodbye either.
            self.part(connection, Work::Drop);
            self.runtime.handle_stalled(connection, Instant::now());
            return;
        }
        self.traffic.count_sent();
        let _ = peer.work.send(Work::Transmit(text)); // an error: it is about to tell that it is gone
    }

    fn part(&mut self, connection: ConnectionId, last: Work) {
        if let Some(peer) = self.peers.remove(&connection) {
            let _ = peer.work.send(last);
        }
    }

    fn take_in(&mut self, Upgraded { link, address, user }: Upgraded) {
        if self.runtime.is_closed() {
            return;
        }
        let now = Instant::now();
        let connection = match user {
            Some(user) => self.runtime.accept_user(user, now),
            None => self.runtime.accept(now),
        };
        let (work, todo) = mpsc::unbounded_channel();
        let unwritten = Arc::<AtomicUsize>::default();
        self.peers.insert(connection, Peer { work, unwritten: unwritten.clone() });
        self.backlog.push_back(News::Connected { connection, address });
        let inbox = self.inbox.clone();
        let limit = self.transport.close_timeout;
        self.tasks.spawn(serve(connection, link, todo, unwritten, inbox, limit));
    }

    fn take(&mut self, connection: ConnectionId, input: Input) {
        match input {
            Input::Text(text) => {
                self.traffic.count_received();
                self.runtime.handle_text(connection, &text, Instant::now());
            }
            Input::Gone => {
                self.peers.remove(&connection);
                self.runtime.handle_disconnect(connection, Instant::now());
            }
            Input::TooLong => {
                self.peers.remove(&connection);
                self.runtime.handle_frame_too_long(connection, Instant::now());
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

/// Serves the admin API until the connection ends or is upgraded.
async fn visit(stream: TcpStream, address: SocketAddr, front: Arc<Front>) -> Option<Upgraded> {
    let _ = stream.set_nodelay(true);
    let upgraded: Mutex<Option<Option<User>>> = Mutex::default();
    let service = service_fn(|request| {
        let (front, upgraded) = (&front, &upgraded);
        async move {
            match front.admin.answer(&front.access, request).await {
                Answer::Response(response) => Ok(response),
                Answer::Upgrade(response, user) => {
                    *upgraded.lock().unwrap_or_else(PoisonError::into_inner) = Some(user);
                    Ok(response)
                }
                Answer::Drop => Err(io::Error::other("the token in the header is nobody's")),
            }
        }
    });
    let limits = front.admin.limits();
    let connection =
        limits.http1().serve_connection(TokioIo::new(limits.patient(stream)), service).without_shutdown();
    let parts = match connection.await {
        Ok(parts) => parts,
        Err(error) => {
            tracing::debug!(%error, "a connection ended early");
            return None;
        }
    };
    let (stream, read) = (parts.io.into_inner().into_inner(), parts.read_buf.to_vec());
    let user = upgraded.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    let config = Some(web_socket_config(front.max_frame));
    let socket = WebSocketStream::from_partially_read(stream, read, Role::Server, config).await;
    Some(Upgraded { link: Link::new(socket), address, user })
}

/// Moves the frames of one connection until it ends, whoever ends it. Holds one frame that was read at most.
async fn serve(
    connection: ConnectionId,
    mut link: Link<TcpStream>,
    mut todo: mpsc::UnboundedReceiver<Work>,
    unwritten: Arc<AtomicUsize>,
    inbox: mpsc::Sender<(ConnectionId, Input)>,
    limit: Duration,
) {
    let gone = async || drop(inbox.send((connection, Input::Gone)).await);
    let mut frame: Option<Utf8Bytes> = None;
    loop {
        tokio::select! {
            moved = link.moved(frame.is_none()) => match moved {
                Moved::Read(text) => frame = Some(text),
                Moved::Wrote(weight) => drop(unwritten.fetch_sub(weight, Ordering::Relaxed)),
                Moved::Ended => {
                    tokio::join!(gone(), link.close(None, limit));
                    return;
                }
                Moved::Refused(code) => {
                    tracing::info!(code, "a frame is refused");
                    let news = if code == TOO_LONG { Input::TooLong } else { Input::Gone };
                    let _ = tokio::join!(inbox.send((connection, news)), link.close(Some(code), limit));
                    return;
                }
                Moved::Lost(error) => {
                    tracing::info!(%error, "a connection is lost");
                    return gone().await;
                }
            },
            permit = inbox.reserve(), if frame.is_some() => match (permit, frame.take()) {
                (Ok(permit), Some(text)) => permit.send((connection, Input::Text(text))),
                _ => return,
            },
            work = todo.recv() => match work {
                Some(Work::Transmit(text)) => link.push(text),
                Some(Work::Close(code)) => return link.close(code, limit).await,
                Some(Work::Drop) | None => return,
            },
        }
    }
}
