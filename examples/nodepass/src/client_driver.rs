//! Drives a [`Client`] over real HTTP: one task owns the machine; requests and the event stream report to it.
//!
//! ```text
//! application ── orders ──▶ run() ── requests ──▶ a task each ── HTTP
//!             ◀── news ────       ── the stream ▶ a task      ── HTTP
//! ```
//!
//! While the application has news to fetch, the stream is not read, and no timer runs: that is the back-pressure. A master
//! that cannot write drops events then, and the machine asks for the list later. Orders are always taken, so the application
//! may wait for one wherever it likes.

use crate::connector::{Connector, Traffic, piece};
use bytes::Bytes;
use http::{Request, Response};
use nodepass_api::client::{Client, Event, Failure, Output, RequestId, StreamId};
use program::sleep_until;
use std::collections::{HashMap, VecDeque};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

/// Pieces of a stream that may wait to be looked at.
const PIECES: usize = 16;

type Order = Box<dyn FnOnce(&mut Client, Instant) + Send>;
type Exchange = (RequestId, Result<Response<Bytes>, Failure>);

/// Gives orders to a running client. Once the last one is dropped the client closes.
#[derive(Clone)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    connector: Connector,
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

    /// Returns what went over the client's connections.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        self.connector.traffic()
    }
}

/// Prepares a driver: who gives orders, where news come out, and the future that does the work. Dropping that future
/// closes everything at once.
///
/// `tell` makes news of the events that one input has led to, with the client as it is then; `|_, events| events` passes
/// them on.
pub fn driver<N: Send + 'static>(
    client: Client,
    connector: Connector,
    tell: impl FnMut(&Client, Vec<Event>) -> Vec<N> + Send,
) -> (Handle, mpsc::Receiver<N>, impl Future<Output = ()> + Send) {
    let (orders, order_queue) = mpsc::channel(64);
    let (news, news_queue) = mpsc::channel(64);
    let (pieces, inbox) = mpsc::channel(PIECES);
    let driver = Driver {
        client,
        connector: connector.clone(),
        tell,
        exchanges: JoinSet::new(),
        aborts: HashMap::new(),
        streams: JoinSet::new(),
        stream: None,
        pieces,
        inbox,
        backlog: VecDeque::new(),
    };
    (Handle { orders, connector }, news_queue, driver.run(order_queue, news))
}

/// What happens to a stream.
enum Moved {
    Opened(StreamId, Response<()>),
    Read(StreamId, Bytes),
    Ended(StreamId, Option<Failure>),
}

struct Driver<N, T> {
    client: Client,
    connector: Connector,
    tell: T,
    exchanges: JoinSet<Exchange>,
    aborts: HashMap<RequestId, AbortHandle>,
    streams: JoinSet<()>,
    stream: Option<(StreamId, AbortHandle)>,
    pieces: mpsc::Sender<Moved>,
    inbox: mpsc::Receiver<Moved>,
    backlog: VecDeque<N>,
}

impl<N, T: FnMut(&Client, Vec<Event>) -> Vec<N>> Driver<N, T> {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>, news: mpsc::Sender<N>) {
        let mut ordered = true;
        loop {
            self.drain();
            let has_news = !self.backlog.is_empty();
            if self.client.is_closed() && !has_news {
                return;
            }
            tokio::select! {
                permit = news.reserve(), if has_news => match (permit, self.backlog.pop_front()) {
                    (Ok(permit), Some(oldest)) => permit.send(oldest),
                    _ => {
                        self.backlog.clear();
                        self.client.close(Instant::now()); // nobody listens any more
                    }
                },
                order = orders.recv(), if ordered => match order {
                    Some(order) => order(&mut self.client, Instant::now()),
                    None => {
                        ordered = false;
                        self.client.close(Instant::now());
                    }
                },
                Some(done) = self.exchanges.join_next() => if let Ok((id, outcome)) = done { // Err: aborted
                    self.answered(id, outcome);
                },
                Some(moved) = self.inbox.recv(), if !has_news => self.moved(moved),
                Some(_) = self.streams.join_next() => {}
                () = sleep_until(self.client.poll_timeout()), if !has_news => {
                    // After a pause the stream may seem to be silent, and is not.
                    if let Ok(moved) = self.inbox.try_recv() {
                        self.moved(moved);
                    }
                    self.client.handle_timeout(Instant::now());
                }
            }
        }
    }

    fn drain(&mut self) {
        let mut events = Vec::new();
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Request { id, request } => self.send(id, request),
                Output::Cancel(id) => {
                    if let Some(exchange) = self.aborts.remove(&id) {
                        exchange.abort();
                    }
                }
                Output::OpenStream { stream, request } => {
                    let follow = follow(self.connector.clone(), stream, request, self.pieces.clone());
                    self.stream = Some((stream, self.streams.spawn(follow)));
                }
                Output::CloseStream { stream } => {
                    if let Some((_, task)) = self.stream.take_if(|(current, _)| *current == stream) {
                        task.abort();
                    }
                }
                Output::Event(event) => events.push(event),
            }
        }
        if !events.is_empty() {
            self.backlog.extend((self.tell)(&self.client, events));
        }
    }

    fn send(&mut self, id: RequestId, request: Request<Bytes>) {
        let connector = self.connector.clone();
        // One byte more than the machine takes, so that it sees when there is too much.
        let limit = self.client.config().max_response.saturating_add(1);
        let exchange = async move { (id, connector.exchange(request, limit).await) };
        self.aborts.insert(id, self.exchanges.spawn(exchange));
    }

    fn answered(&mut self, id: RequestId, outcome: Result<Response<Bytes>, Failure>) {
        self.aborts.remove(&id);
        match outcome {
            Ok(response) => self.client.handle_response(id, response, Instant::now()),
            Err(failure) => self.client.handle_failure(id, failure, Instant::now()),
        }
    }

    fn moved(&mut self, moved: Moved) {
        let now = Instant::now();
        match moved {
            Moved::Opened(stream, head) => self.client.handle_stream_opened(stream, &head, now),
            Moved::Read(stream, bytes) => self.client.handle_stream_bytes(stream, &bytes, now),
            Moved::Ended(stream, failure) => self.client.handle_stream_end(stream, failure, now),
        }
    }
}

/// Reads a stream to its end. An error of sending: the driver is gone.
async fn follow(
    connector: Connector,
    stream: StreamId,
    request: Request<Bytes>,
    pieces: mpsc::Sender<Moved>,
) {
    let end = match connector.open(request).await {
        Err(failure) => Some(failure),
        Ok(response) => {
            let (head, mut body) = response.into_parts();
            let _ = pieces.send(Moved::Opened(stream, Response::from_parts(head, ()))).await;
            loop {
                match piece(&mut body).await {
                    Ok(Some(bytes)) => {
                        connector.traffic().count_received();
                        if pieces.send(Moved::Read(stream, bytes)).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => break None,
                    Err(failure) => break Some(failure),
                }
            }
        }
    };
    let _ = pieces.send(Moved::Ended(stream, end)).await;
}
