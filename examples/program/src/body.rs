//! The bodies of requests to a server.

use crate::server::Limits;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How much of every body needs no room.
const FREE: usize = 64 << 10;

/// Reads one byte more than a machine takes, without a limit of time or of room shared with others. `None` if the client
/// breaks off.
pub async fn read<B>(body: B, limit: usize) -> Option<Bytes>
where
    B: Body<Data = Bytes> + Unpin,
{
    let limits = Limits { max_bodies: usize::MAX, ..Limits::default() };
    Bodies::new(&limits, limit).take(body).await.map(|(bytes, _)| bytes)
}

/// How a server reads bodies, and the room for long ones, which all its connections share. Clones share it.
#[derive(Clone, Debug)]
pub struct Bodies {
    room: Arc<Semaphore>,
    size: usize,
    limit: usize,
    timeout: Duration,
}

/// The room that a body takes until this is dropped.
#[derive(Debug)]
pub struct Held {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Reads bodies for a machine that takes up to `limit` bytes.
    #[must_use]
    pub fn new(limits: &Limits, limit: usize) -> Self {
        let size = limits.max_bodies.min(u32::MAX as usize).min(Semaphore::MAX_PERMITS);
        Self { room: Arc::new(Semaphore::new(size)), size, limit, timeout: limits.body_timeout }
    }

    /// Reads one byte more than the machine takes, so that it sees when there is too much. `None` if the client breaks off
    /// or takes too long.
    ///
    /// A body of more than 64 KiB waits for room, for all of it at once: otherwise many that are half read could wait for
    /// each other.
    pub async fn read<B>(&self, body: B) -> Option<(Bytes, Held)>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        timeout(self.timeout, self.take(body)).await.ok().flatten()
    }

    async fn take<B>(&self, mut body: B) -> Option<(Bytes, Held)>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let most = self.limit.saturating_add(1);
        let mut taken = BytesMut::new();
        let mut held = Held { _permit: None };
        while let Some(frame) = body.frame().await {
            let data = frame.ok()?.into_data().unwrap_or_default();
            let data = &data[..data.len().min(most - taken.len())];
            if taken.len() + data.len() > FREE && held._permit.is_none() {
                let left = body.size_hint().upper().and_then(|left| usize::try_from(left).ok());
                let whole = left.map_or(most, |left| left.saturating_add(taken.len() + data.len()).min(most));
                held._permit = Some(self.reserve(whole).await?);
            }
            taken.extend_from_slice(data);
            if taken.len() == most {
                break;
            }
        }
        Some((taken.freeze(), held))
    }

    async fn reserve(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes.min(self.size)).unwrap_or(u32::MAX);
        self.room.clone().acquire_many_owned(bytes).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    const LONG: usize = 100 << 10;

    fn body(length: usize) -> Full<Bytes> {
        Full::new(vec![b'a'; length].into())
    }

    fn bodies(room: usize, limit: usize) -> Bodies {
        let mut limits = Limits::default();
        (limits.max_bodies, limits.body_timeout) = (room, Duration::from_millis(50));
        Bodies::new(&limits, limit)
    }

    #[tokio::test]
    async fn a_long_body_waits_until_another_is_dropped_and_a_short_one_does_not() {
        let bodies = bodies(LONG + 10, 1 << 20);
        let (first, held) = bodies.read(body(LONG)).await.unwrap();
        assert_eq!(first.len(), LONG);
        assert!(bodies.read(body(LONG)).await.is_none());
        let (short, _) = bodies.read(body(FREE)).await.unwrap();
        assert_eq!(short.len(), FREE);
        drop(held);
        assert_eq!(bodies.read(body(LONG)).await.unwrap().0.len(), LONG);
    }

    #[tokio::test]
    async fn one_byte_beyond_the_limit_is_read_and_no_more() {
        assert_eq!(bodies(usize::MAX, 9).read(body(20)).await.unwrap().0.len(), 10);
        assert_eq!(bodies(usize::MAX, FREE + 1).read(body(LONG)).await.unwrap().0.len(), FREE + 2);
    }

    #[tokio::test]
    async fn a_body_that_is_longer_than_all_room_takes_all_of_it() {
        assert_eq!(bodies(1000, 1 << 20).read(body(LONG)).await.unwrap().0.len(), LONG);
    }
}
