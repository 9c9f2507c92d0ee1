//! One TCP connection: what was read, what is not yet written, and the ways to end it.

use bytes::{Bytes, BytesMut};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Settings of the transport. The protocol's are the machine's.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Transport {
    /// How many bytes may be unwritten before a peer counts as one that does not read. 8 MiB.
    pub max_unwritten: usize,
    /// How long the last lines and the peer's own end may take once a connection is to be closed. 5 s.
    pub close_timeout: Duration,
}

impl Default for Transport {
    fn default() -> Self {
        Self { max_unwritten: 8 << 20, close_timeout: Duration::from_secs(5) }
    }
}

/// Counts the lines that a driver has passed on.
#[derive(Debug, Default)]
pub struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Traffic {
    /// Returns how many lines were sent and received.
    #[must_use]
    pub fn lines(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    pub(crate) fn count_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_received(&self, bytes: &[u8]) {
        let lines = memchr::memchr_iter(b'\n', bytes).count();
        self.received.fetch_add(lines as u64, Ordering::Relaxed);
    }
}

/// A connection with its unwritten bytes.
pub(crate) struct Link {
    stream: TcpStream,
    inbound: BytesMut,
    outbound: BytesMut,
}

/// What happened on a connection.
pub(crate) enum Moved {
    /// Bytes came.
    Read(Bytes),
    /// So many were written.
    Wrote(usize),
    /// The peer sends nothing more.
    Ended,
    /// The connection is lost.
    Lost(io::Error),
}

impl Link {
    /// Takes a connection, and switches keep-alive and no-delay on as the original does.
    pub(crate) fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        let _ = socket2::SockRef::from(&stream).set_keepalive(true);
        Self { stream, inbound: BytesMut::new(), outbound: BytesMut::new() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.outbound.extend_from_slice(bytes);
    }

    pub(crate) fn unwritten(&self) -> usize {
        self.outbound.len()
    }

    /// Waits until something was read or written. Dropping the future loses nothing.
    ///
    /// Reading goes on while writing is stuck, or two busy peers would lock each other up.
    pub(crate) async fn moved(&mut self, reading: bool) -> Moved {
        let Self { stream, inbound, outbound } = self;
        let (mut reader, mut writer) = stream.split();
        let unwritten = outbound.len();
        tokio::select! {
            read = async {
                inbound.reserve(CHUNK); // else a read takes 64 bytes
                reader.read_buf(inbound).await
            }, if reading => match read {
                Ok(0) => Moved::Ended,
                Ok(_) => Moved::Read(inbound.split().freeze()),
                Err(error) => Moved::Lost(error),
            },
            written = writer.write_buf(outbound), if unwritten > 0 => match written {
                Ok(count) => {
                    if outbound.is_empty() {
                        *outbound = BytesMut::new(); // an idle connection keeps no memory for its last burst
                    }
                    Moved::Wrote(count)
                }
                Err(error) => Moved::Lost(error),
            },
            else => std::future::pending().await,
        }
    }

    /// Writes what is unwritten, closes the connection and waits for the peer to do so too, but no longer than `limit`.
    ///
    /// What the peer still sends is read and dropped: unread bytes would turn the end into a reset, which may destroy
    /// the last line before the peer has read it.
    pub(crate) async fn close(mut self, limit: Duration) {
        let _ = timeout(limit, async {
            while self.unwritten() > 0 {
                match self.moved(true).await {
                    Moved::Read(_) | Moved::Wrote(_) => {}
                    Moved::Ended => return self.flush().await,
                    Moved::Lost(_) => return,
                }
            }
            let _ = self.stream.shutdown().await;
            while let Moved::Read(_) = self.moved(true).await {}
        })
        .await;
    }

    /// Resets the connection; what is unwritten is void.
    pub(crate) fn reset(self) {
        let _ = self.stream.set_zero_linger();
    }

    /// The peer sends nothing more, so there is nothing to read either.
    async fn flush(&mut self) {
        let _ = self.stream.write_all_buf(&mut self.outbound).await;
        let _ = self.stream.shutdown().await;
    }
}

const CHUNK: usize = 16 * 1024;
