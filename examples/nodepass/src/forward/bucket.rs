//! A token bucket.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// What may pass at once after a rest, in time at the full rate.
const BURST: Duration = Duration::from_millis(100);

/// Holds bytes back, so that no more than its rate pass, whoever they belong to.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: u64,
    /// When all bytes that were let through are paid for.
    paid: Mutex<Instant>,
}

impl Bucket {
    /// Returns a bucket for that many bytes a second, or none for 0.
    pub(super) fn new(rate: u64) -> Option<Self> {
        (rate > 0).then(|| Self { rate, paid: Mutex::new(Instant::now()) })
    }

    /// Waits until these bytes may pass.
    pub(super) async fn take(&self, bytes: usize) {
        let nanoseconds = bytes as u128 * 1_000_000_000 / u128::from(self.rate);
        let cost = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        let due = {
            let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let start = (*paid).max(now.checked_sub(BURST).unwrap_or(now));
            *paid = start.checked_add(cost).unwrap_or(start);
            *paid
        };
        sleep_until(due).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_at_the_rate_after_a_burst() {
        let bucket = Bucket::new(100_000).unwrap();
        let start = Instant::now();
        for _ in 0..30 {
            bucket.take(10_000).await;
        }
        let taken = start.elapsed();
        assert!((Duration::from_millis(2890)..=Duration::from_millis(3010)).contains(&taken), "{taken:?}");
        // A rest is worth a burst, however long it was.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let start = Instant::now();
        bucket.take(10_000).await;
        assert!(start.elapsed() <= Duration::from_millis(1));
        bucket.take(10_000).await;
        assert!(start.elapsed() >= Duration::from_millis(99));
    }

    #[tokio::test(start_paused = true)]
    async fn the_users_of_a_bucket_share_it() {
        let bucket = std::sync::Arc::new(Bucket::new(1000).unwrap());
        let start = Instant::now();
        let users: Vec<_> = (0..4)
            .map(|_| {
                tokio::spawn({
                    let bucket = bucket.clone();
                    async move { bucket.take(1000).await }
                })
            })
            .collect();
        for user in users {
            user.await.unwrap();
        }
        assert!(start.elapsed() >= Duration::from_millis(3890));
        assert!(Bucket::new(0).is_none());
    }
}
