//! One connection: bytes from a user to a target and back.

use super::bucket::Bucket;
use super::{Counters, Side};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

const CHUNK: usize = 16 * 1024;

/// Carries bytes both ways.
pub(super) struct Relay<'a> {
    up: Pump<'a>,
    down: Pump<'a>,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// Both sides have sent all they had.
    Complete,
    /// Nothing moved for too long.
    Idle,
    /// One side is gone.
    Lost(io::Error),
}

/// One direction.
struct Pump<'a> {
    bucket: Option<&'a Bucket>,
    read: Option<&'a AtomicU64>,
    written: Option<&'a AtomicU64>,
}

/// When something moved last, as milliseconds since the start.
struct Activity {
    start: Instant,
    last: AtomicU64,
}

impl<'a> Relay<'a> {
    pub(super) fn new(
        counters: &'a Counters,
        counted: Side,
        up: Option<&'a Bucket>,
        down: Option<&'a Bucket>,
    ) -> Self {
        let (received, sent) = (Some(&counters.received), Some(&counters.sent));
        match counted {
            Side::Listener => Self {
                up: Pump { bucket: up, read: received, written: None },
                down: Pump { bucket: down, read: None, written: sent },
            },
            Side::Target => Self {
                up: Pump { bucket: up, read: None, written: sent },
                down: Pump { bucket: down, read: received, written: None },
            },
        }
    }

    /// Runs until both sides have ended, one is lost, or nothing has moved for the time that is allowed.
    pub(super) async fn run(
        self,
        user: &mut TcpStream,
        target: &mut TcpStream,
        idle: Option<Duration>,
    ) -> End {
        let activity = Activity { start: Instant::now(), last: AtomicU64::new(0) };
        let (from_user, to_user) = user.split();
        let (from_target, to_target) = target.split();
        let both = async {
            tokio::try_join!(
                self.up.run(from_user, to_target, &activity),
                self.down.run(from_target, to_user, &activity),
            )
        };
        tokio::select! {
            outcome = both => outcome.map_or_else(End::Lost, |_| End::Complete),
            () = activity.idle(idle) => End::Idle,
        }
    }
}

impl Pump<'_> {
    /// Carries everything up to the end, and the end itself.
    async fn run(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        activity: &Activity,
    ) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = from.read(&mut chunk).await?;
            if length == 0 {
                // An error: that side has closed it all, and its own direction will tell.
                let _ = to.shutdown().await;
                return Ok(());
            }
            count(self.read, length);
            activity.mark();
            if let Some(bucket) = self.bucket {
                bucket.take(length).await;
            }
            let mut rest = &chunk[..length];
            while !rest.is_empty() {
                let length = to.write(rest).await?;
                if length == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                count(self.written, length);
                activity.mark();
                rest = &rest[length..];
            }
        }
    }
}

fn count(counter: Option<&AtomicU64>, length: usize) {
    if let Some(counter) = counter {
        counter.fetch_add(length as u64, Ordering::Relaxed);
    }
}

impl Activity {
    fn mark(&self) {
        self.last.store(crate::dial::milliseconds(self.start.elapsed()), Ordering::Relaxed);
    }

    /// Waits until nothing has moved for that long.
    async fn idle(&self, limit: Option<Duration>) {
        let Some(limit) = limit else {
            return std::future::pending().await;
        };
        loop {
            let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
            let quiet = self.start.elapsed().saturating_sub(last);
            match limit.checked_sub(quiet) {
                Some(rest) if !rest.is_zero() => sleep(rest).await,
                _ => return,
            }
        }
    }
}
