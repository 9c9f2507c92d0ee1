//! The rate limit: a sliding estimate over two fixed windows. §3, step 3.

use super::{Network, RateLimit};
use crate::wire::Timestamp;
use std::collections::BTreeMap;
use std::net::IpAddr;

pub(super) struct RateLimiter {
    limit: RateLimit,
    /// The current window, counted since 1970.
    window: i64,
    current: Counts,
    previous: Counts,
}

#[derive(Default)]
struct Counts {
    networks: BTreeMap<Network, u32>,
    /// What networks have in common that no longer found a place.
    overflow: u32,
}

/// What the headers of an answer say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// Unix time of the window's end.
    pub(super) reset: i64,
    /// Seconds to wait, if the request is over the limit.
    pub(super) retry_after: Option<u32>,
}

impl RateLimiter {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { limit, window: i64::MIN, current: Counts::default(), previous: Counts::default() }
    }

    /// Counts a request. One over the limit is not counted.
    pub(super) fn request(&mut self, client: IpAddr, wall_clock: Timestamp) -> Budget {
        let length = i64::from(self.limit.window_seconds);
        let window = wall_clock.unix_seconds().div_euclid(length);
        self.turn_to(window);
        let network = Network::of(client, self.limit.ipv4_prefix, self.limit.ipv6_prefix);

        let elapsed = wall_clock.unix_seconds().rem_euclid(length) as f64
            + f64::from(wall_clock.subsecond_nanoseconds()) / 1e9;
        let share = 1.0 - elapsed / length as f64;
        let max = self.limit.max_networks;
        let earlier = f64::from(self.previous.count(network, max)) * share;
        let count = self.current.slot(network, max);
        let rate = (earlier + f64::from(*count)).round() as u32;

        let over = rate >= self.limit.requests;
        if !over {
            *count += 1;
        }
        Budget {
            limit: self.limit.requests,
            remaining: self.limit.requests.saturating_sub(rate).saturating_sub(u32::from(!over)),
            reset: (window + 1).saturating_mul(length),
            retry_after: over.then_some(self.limit.window_seconds),
        }
    }

    /// Forgets what no longer counts; the work is paid for by the requests that were counted.
    fn turn_to(&mut self, window: i64) {
        if window == self.window {
            return;
        }
        let last = std::mem::take(&mut self.current);
        // After a pause, or when the clock was set back, there is no previous window.
        self.previous = if self.window.checked_add(1) == Some(window) { last } else { Counts::default() };
        self.window = window;
    }

    pub(super) fn networks(&self) -> usize {
        self.current.networks.len() + self.previous.networks.len()
    }
}

impl Counts {
    fn count(&self, network: Network, max: usize) -> u32 {
        let shared = if self.networks.len() >= max { self.overflow } else { 0 };
        self.networks.get(&network).copied().unwrap_or(shared)
    }

    fn slot(&mut self, network: Network, max: usize) -> &mut u32 {
        if self.networks.len() >= max && !self.networks.contains_key(&network) {
            return &mut self.overflow;
        }
        self.networks.entry(network).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_200 + seconds, 0).unwrap()
    }

    fn limiter(requests: u32, max_networks: usize) -> RateLimiter {
        RateLimiter::new(RateLimit { requests, max_networks, ..RateLimit::default() })
    }

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

    #[test]
    fn the_budget_counts_down_and_then_refuses() {
        let mut limiter = limiter(2, 10);
        let budget = |remaining, retry_after| Budget { limit: 2, remaining, reset: 1_260, retry_after };
        assert_eq!(limiter.request(A, at(0)), budget(1, None));
        assert_eq!(limiter.request(A, at(1)), budget(0, None));
        assert_eq!(limiter.request(A, at(2)), budget(0, Some(60)));
        assert_eq!(limiter.request(B, at(2)), budget(1, None), "another network has its own");
    }

    #[test]
    fn the_previous_window_counts_by_the_share_that_is_left_of_it() {
        let mut limiter = limiter(100, 10);
        for _ in 0..100 {
            limiter.request(A, at(0));
        }
        assert_eq!(limiter.request(A, at(59)).retry_after, Some(60));
        assert_eq!(limiter.request(A, at(60)).retry_after, Some(60));
        assert_eq!(limiter.request(A, at(90)).remaining, 49);
        assert_eq!(limiter.request(A, at(240)).remaining, 99, "a pause of two windows forgets");
    }

    #[test]
    fn networks_beyond_the_most_share_one_count() {
        let mut limiter = limiter(1, 2);
        let network = |number| IpAddr::V4(std::net::Ipv4Addr::new(10, 0, number, 1));
        for number in 0..3 {
            assert_eq!(limiter.request(network(number), at(0)).retry_after, None);
        }
        assert_eq!(limiter.request(network(3), at(0)).retry_after, Some(60));
        assert_eq!(limiter.networks(), 2);
    }
}
