//! When the next request may go.

use super::RateLimit;
use std::collections::VecDeque;
use std::time::Duration;
use web_time::Instant;

/// Keeps to a rate, and to what the provider says about it.
pub(super) struct Throttle {
    limit: RateLimit,
    /// The last requests, as many as there may be within a period.
    sent: VecDeque<Instant>,
    paused_until: Option<Instant>,
}

impl Throttle {
    pub(super) const fn new(limit: RateLimit) -> Self {
        Self { limit, sent: VecDeque::new(), paused_until: None }
    }

    /// Returns when the next request may go. An absurd period is never over.
    pub(super) fn ready_at(&self) -> Ready {
        let full = self.sent.len() >= self.limit.requests;
        let rate = match self.sent.front().filter(|_| full) {
            None => Ready::Now,
            Some(first) => first.checked_add(self.limit.period).map_or(Ready::Never, Ready::At),
        };
        rate.max(self.paused_until.map_or(Ready::Now, Ready::At))
    }

    pub(super) fn note_request(&mut self, now: Instant) {
        while self.sent.len() >= self.limit.requests {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }

    /// Lets no request go for some time.
    pub(super) fn pause(&mut self, wait: Duration, now: Instant) {
        self.paused_until = self.paused_until.max(now.checked_add(wait));
    }
}

/// When something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ready {
    Now,
    At(Instant),
    Never,
}

impl Ready {
    pub(super) fn is_ready(self, now: Instant) -> bool {
        match self {
            Self::Now => true,
            Self::At(at) => at <= now,
            Self::Never => false,
        }
    }
}

/// What an answer says about the rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RateNotice {
    /// Do not ask again for so long.
    pub(super) wait: Option<Duration>,
}

impl RateNotice {
    /// Reads `Retry-After` in seconds, and ip-api.com's `X-Ttl` where `X-Rl` says that nothing is left.
    pub(super) fn read(status: http::StatusCode, headers: &http::HeaderMap) -> Self {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        let is_over = status == http::StatusCode::TOO_MANY_REQUESTS || number("x-rl") == Some(0);
        let retry_after = number("retry-after").filter(|_| !status.is_success());
        let window = number("x-ttl").filter(|_| is_over);
        Self { wait: retry_after.max(window).map(Duration::from_secs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, StatusCode};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn no_stretch_of_a_period_has_more_requests_than_the_limit() {
        let start = testkit::epoch();
        let mut throttle = Throttle::new(RateLimit { requests: 2, period: 10 * SECOND });
        assert_eq!(throttle.ready_at(), Ready::Now);
        throttle.note_request(start);
        throttle.note_request(start + 4 * SECOND);
        assert_eq!(throttle.ready_at(), Ready::At(start + 10 * SECOND));
        throttle.note_request(start + 10 * SECOND);
        assert_eq!(throttle.ready_at(), Ready::At(start + 14 * SECOND));
    }

    #[test]
    fn the_longest_pause_counts_and_an_absurd_period_is_never_over() {
        let start = testkit::epoch();
        let mut throttle = Throttle::new(RateLimit { requests: 1, period: Duration::MAX });
        throttle.pause(5 * SECOND, start);
        throttle.pause(SECOND, start);
        assert_eq!(throttle.ready_at(), Ready::At(start + 5 * SECOND));
        throttle.note_request(start);
        assert_eq!(throttle.ready_at(), Ready::Never);
    }

    #[test]
    fn what_the_provider_says_about_its_rate_is_read() {
        let wait = |status: u16, headers: &[(&'static str, &'static str)]| {
            let headers: HeaderMap = headers
                .iter()
                .map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect();
            RateNotice::read(StatusCode::from_u16(status).unwrap(), &headers).wait.map(|wait| wait.as_secs())
        };
        assert_eq!(wait(200, &[("x-rl", "3"), ("x-ttl", "40")]), None);
        assert_eq!(wait(200, &[("x-rl", "0"), ("x-ttl", "40")]), Some(40));
        assert_eq!(wait(429, &[("x-ttl", "40")]), Some(40));
        assert_eq!(wait(429, &[("retry-after", "7")]), Some(7));
        assert_eq!(wait(503, &[("retry-after", "7")]), Some(7));
        assert_eq!(wait(429, &[("retry-after", "soon")]), None);
        assert_eq!(wait(200, &[("retry-after", "7")]), None);
    }
}
