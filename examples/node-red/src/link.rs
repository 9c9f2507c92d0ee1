//! One WebSocket connection: the frames that are read, those that are not yet written, and its end.

use bytes::Bytes;
use futures_util::{Sink as _, SinkExt as _, Stream as _};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};

/// Settings of the transport. The protocol's are the machine's.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Transport {
    /// How many bytes may be unwritten before a peer counts as one that does not read. 8 MiB.
    pub max_unwritten: usize,
    /// How long the last frames and the peer's own end may take once a connection is to be closed. 5 s.
    pub close_timeout: Duration,
}

impl Default for Transport {
    fn default() -> Self {
        Self { max_unwritten: 8 << 20, close_timeout: Duration::from_secs(5) }
    }
}

/// Counts the frames that a driver has passed on.
#[derive(Debug, Default)]
pub struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Traffic {
    /// Returns how many frames were sent and received.
    #[must_use]
    pub fn frames(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    pub(crate) fn count_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connection with its unwritten frames.
pub(crate) struct Link<S> {
    socket: WebSocketStream<S>,
    outbound: VecDeque<Frame>,
    unwritten: usize,
    /// What of it the library has, and has not told to be written.
    given: usize,
    inbound: Inbound,
    reads_first: bool,
}

/// What the peer still sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inbound {
    Open,
    /// It has closed the connection.
    Closed,
    /// Nothing that can be read.
    Illegible,
}

/// What happened on a connection.
pub(crate) enum Moved {
    /// A frame came.
    Read(Utf8Bytes),
    /// Frames of this weight were written.
    Wrote(usize),
    /// The peer has closed the connection.
    Ended,
    /// The peer has sent what cannot be taken; the connection is to be closed with this code.
    Refused(u16),
    /// The connection is lost.
    Lost(Error),
}

/// What a frame counts as while it is unwritten: its bytes, and those around it.
pub(crate) fn weight(frame: &[u8]) -> usize {
    frame.len().saturating_add(14)
}

/// Returns settings for the library under which frames of up to `max_frame` bytes are taken.
pub(crate) fn web_socket_config(max_frame: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(CHUNK)
        .write_buffer_size(CHUNK)
        .max_message_size(Some(max_frame))
        .max_frame_size(Some(max_frame))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    pub(crate) fn new(socket: WebSocketStream<S>) -> Self {
        Self {
            socket,
            outbound: VecDeque::new(),
            unwritten: 0,
            given: 0,
            inbound: Inbound::Open,
            reads_first: false,
        }
    }

    /// Takes a text frame to be written; the caller vouches that it is UTF-8.
    pub(crate) fn push(&mut self, text: Bytes) {
        self.unwritten += weight(&text);
        self.outbound.push_back(Frame::message(text, OpCode::Data(Data::Text), true));
    }

    pub(crate) fn unwritten(&self) -> usize {
        self.unwritten
    }

    /// Waits until something was read or written. Dropping the future loses nothing.
    ///
    /// Reading goes on while writing is stuck, or two busy peers would lock each other up.
    pub(crate) async fn moved(&mut self, reading: bool) -> Moved {
        poll_fn(|cx| self.poll_moved(cx, reading)).await
    }

    fn poll_moved(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<Moved> {
        // By turns, so that neither waits for ever.
        self.reads_first = !self.reads_first;
        let reads_first = self.reads_first;
        if reading
            && reads_first
            && let Poll::Ready(moved) = self.poll_read(cx)
        {
            return Poll::Ready(moved);
        }
        if let Poll::Ready(moved) = self.poll_write(cx) {
            return Poll::Ready(moved);
        }
        if reading && !reads_first { self.poll_read(cx) } else { Poll::Pending }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Moved> {
        if self.inbound != Inbound::Open {
            return Poll::Pending;
        }
        loop {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(Message::Text(text))) => return Poll::Ready(Moved::Read(text)),
                Some(Ok(Message::Binary(bytes))) => match Utf8Bytes::try_from(bytes) {
                    Ok(text) => return Poll::Ready(Moved::Read(text)),
                    Err(error) => tracing::debug!(%error, "a binary frame is ignored"),
                },
                Some(Ok(Message::Close(_))) | None => {
                    self.inbound = Inbound::Closed;
                    return Poll::Ready(Moved::Ended);
                }
                // Pings are answered by the library.
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    self.inbound = Inbound::Illegible;
                    return Poll::Ready(fault(error));
                }
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Moved> {
        while self.given < CHUNK && !self.outbound.is_empty() {
            if let Err(error) = ready!(Pin::new(&mut self.socket).poll_ready(cx)) {
                return Poll::Ready(Moved::Lost(error));
            }
            let Some(frame) = self.outbound.pop_front() else { break };
            self.given += weight(frame.payload());
            if let Err(error) = Pin::new(&mut self.socket).start_send(Message::Frame(frame)) {
                return Poll::Ready(Moved::Lost(error));
            }
        }
        if self.given == 0 {
            return Poll::Pending; // nothing to write; whoever pushes asks again
        }
        match ready!(Pin::new(&mut self.socket).poll_flush(cx)) {
            Ok(()) => {
                let written = std::mem::take(&mut self.given);
                self.unwritten -= written;
                if self.outbound.is_empty() {
                    self.outbound = VecDeque::new(); // an idle connection keeps no memory for its last burst
                }
                Poll::Ready(Moved::Wrote(written))
            }
            Err(error) => Poll::Ready(Moved::Lost(error)),
        }
    }

    /// Writes what is unwritten, closes the connection and waits for the peer to do so too, but no longer than `limit`.
    ///
    /// What the peer still sends is read and dropped: unread bytes would turn the end into a reset, which may destroy
    /// the last frame before the peer has read it.
    pub(crate) async fn close(mut self, code: Option<u16>, limit: Duration) {
        let _ = timeout(limit, async {
            while self.inbound != Inbound::Closed && self.unwritten > 0 {
                if let Moved::Lost(_) = self.moved(true).await {
                    return;
                }
            }
            if self.inbound != Inbound::Closed {
                let frame = code.map(|code| (CloseCode::from(code), Utf8Bytes::default()));
                let frame = frame.map(|(code, reason)| CloseFrame { code, reason });
                let _ = self.socket.feed(Message::Close(frame)).await;
            }
            let _ = self.socket.flush().await; // also the answer to the peer's own close
            while self.inbound == Inbound::Open {
                self.moved(true).await;
            }
            let stream = self.socket.get_mut();
            let _ = stream.shutdown().await;
            if self.inbound == Inbound::Illegible {
                let _ = tokio::io::copy(stream, &mut tokio::io::sink()).await;
            }
        })
        .await;
    }
}

/// Says what a failure to read means.
fn fault(error: Error) -> Moved {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Moved::Refused(TOO_LONG),
        Error::Utf8(_) => Moved::Refused(1007),
        error => Moved::Lost(error),
    }
}

/// The close code for a frame that is longer than the limit.
pub(crate) const TOO_LONG: u16 = 1009;

const CHUNK: usize = 16 * 1024;
