//! Settings.

use crate::Secret;
use crate::value::check_auth_key;
use http::Uri;
use http::uri::Scheme;
use std::time::Duration;

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// IPinfo.io.
    IpInfo,
    /// ip-api.com.
    IpApi,
}

/// So many requests within any stretch of time of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a count and a time")]
pub struct RateLimit {
    /// The number of requests, 1 to [`RateLimit::MAX_REQUESTS`].
    pub requests: usize,
    /// The time, above 0.
    pub period: Duration,
}

impl RateLimit {
    /// The greatest number of requests, as the time of each is remembered.
    pub const MAX_REQUESTS: usize = 100_000;

    const fn per_minute(requests: usize) -> Self {
        Self { requests, period: Duration::from_secs(60) }
    }
}

/// Settings of enrichment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Who is asked.
    pub provider: Provider,
    /// The token or key that the provider gave out: 1 to 1024 characters of printable ASCII without spaces. None.
    pub token: Option<Secret>,
    /// Where to ask instead of at the provider's: an `http` or `https` URI without user and query, whose path goes
    /// before the provider's paths. None.
    pub base: Option<Uri>,
    /// The most addresses of a request; 1 is a request for each address. The provider's: 1000 for IPinfo with a
    /// token and 1 without, 100 for ip-api.com.
    pub batch: usize,
    /// How often to ask at most; `None` is as the provider allows. ip-api.com: 15 batches or 45 single addresses a
    /// minute without a key, 600 requests a minute with one. IPinfo names no number, so that it is asked 60 times a
    /// minute. None.
    pub rate: Option<RateLimit>,
    /// Time between two runs over all addresses, at least 1 ms. 24 h.
    pub daily_interval: Duration,
    /// Time between two runs over recent addresses, at least 1 ms. 10 min.
    pub recent_interval: Duration,
    /// How long ago the first sight of a recent address is at most; exactly so long ago is too long. 10 min.
    pub recent_window: Duration,
    /// The most time a request may take, above 0. 10 s.
    pub request_timeout: Duration,
    /// The most time that the application may take for a query, above 0; the run ends then. 60 s.
    pub query_timeout: Duration,
    /// The most addresses that a query asks for, 1 to [`Config::MAX_PAGE`]. 1000.
    pub page: usize,
    /// How often a request that failed is repeated. 3.
    pub retries: u32,
    /// The wait before the first repetition, doubled for each further one, above 0. 5 s.
    pub retry_delay: Duration,
    /// The longest wait, also if the provider asks for a longer one; above 0. 5 min.
    pub max_retry_delay: Duration,
    /// So many requests in a row that failed for good end a run, at least 1. 3.
    pub failures_before_end: u32,
    /// The most bytes of an answer. 4 MiB.
    pub max_response: usize,
    /// The most bytes of what is kept about an address. 16 KiB.
    pub max_info: usize,
}

/// Which setting cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The token has a length or characters that no token has.
    #[error(
        "the token of the address provider must be 1 to 1024 characters of printable ASCII without spaces"
    )]
    Token,
    /// The base is not a plain `http` or `https` URI.
    #[error("the base URI of the address provider must be http or https, without user information and query")]
    Base,
    /// The number of addresses of a request is 0 or above what the provider takes.
    #[error("the addresses of a request must be 1 to {most}")]
    Batch {
        /// The most that it takes, which depends on the token.
        most: usize,
    },
    /// The number of requests is 0 or too great, or its time is 0.
    #[error("the rate must be 1 to 100000 requests in a time above 0")]
    Rate,
    /// An interval too short for the wall clock.
    #[error("{0} of address enrichment must be at least 1 ms")]
    Interval(&'static str),
    /// A time limit or wait of 0.
    #[error("{0} of address enrichment must be above 0")]
    Wait(&'static str),
    /// The number of addresses of a page is out of its range.
    #[error("the addresses of a page must be 1 to 100000")]
    Page,
    /// No failure can come before the first.
    #[error("the number of failures that end a run must be above 0")]
    Failures,
}

impl Config {
    /// The greatest number of addresses of a page.
    pub const MAX_PAGE: usize = 100_000;

    /// Returns the settings for a provider.
    #[must_use]
    pub fn new(provider: Provider, token: Option<Secret>) -> Self {
        Self {
            provider,
            base: None,
            batch: provider.largest_batch(token.is_some()),
            token,
            rate: None,
            daily_interval: Duration::from_secs(24 * 3600),
            recent_interval: Duration::from_secs(600),
            recent_window: Duration::from_secs(600),
            request_timeout: Duration::from_secs(10),
            query_timeout: Duration::from_secs(60),
            page: 1000,
            retries: 3,
            retry_delay: Duration::from_secs(5),
            max_retry_delay: Duration::from_secs(300),
            failures_before_end: 3,
            max_response: 4 << 20,
            max_info: 16 << 10,
        }
    }

    /// Returns how often to ask at most.
    #[must_use]
    pub fn effective_rate(&self) -> RateLimit {
        self.rate.unwrap_or(match self.provider {
            Provider::IpApi if self.token.is_none() => {
                RateLimit::per_minute(if self.batch > 1 { 15 } else { 45 })
            }
            Provider::IpApi => RateLimit::per_minute(600),
            Provider::IpInfo => RateLimit::per_minute(60),
        })
    }

    /// Returns the wait before a repetition, counted from 0, where the provider may ask for a longer one.
    pub(super) fn delay_before_retry(&self, retry: u32, asked: Option<Duration>) -> Duration {
        let delay = self.retry_delay.saturating_mul(2_u32.saturating_pow(retry));
        delay.max(asked.unwrap_or_default()).min(self.max_retry_delay)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.token.as_ref().is_some_and(|token| check_auth_key(token).is_err()) {
            return Err(ConfigError::Token);
        }
        if self.base.as_ref().is_some_and(|base| !is_base(base)) {
            return Err(ConfigError::Base);
        }
        let most = self.provider.largest_batch(self.token.is_some());
        check(self.batch >= 1 && self.batch <= most, ConfigError::Batch { most })?;
        let rate = self.effective_rate();
        check(
            (1..=RateLimit::MAX_REQUESTS).contains(&rate.requests) && !rate.period.is_zero(),
            ConfigError::Rate,
        )?;
        self.check_waits()?;
        check((1..=Self::MAX_PAGE).contains(&self.page), ConfigError::Page)?;
        check(self.failures_before_end > 0, ConfigError::Failures)
    }

    fn check_waits(&self) -> Result<(), ConfigError> {
        let intervals = [("daily_interval", self.daily_interval), ("recent_interval", self.recent_interval)];
        for (name, interval) in intervals {
            check(interval.as_millis() > 0, ConfigError::Interval(name))?;
        }
        let waits = [
            ("request_timeout", self.request_timeout),
            ("query_timeout", self.query_timeout),
            ("retry_delay", self.retry_delay),
            ("max_retry_delay", self.max_retry_delay),
        ];
        waits.into_iter().try_for_each(|(name, wait)| check(!wait.is_zero(), ConfigError::Wait(name)))
    }
}

impl Provider {
    /// Returns how many addresses a request may have.
    const fn largest_batch(self, has_token: bool) -> usize {
        match self {
            Self::IpInfo if has_token => 1000,
            Self::IpInfo => 1,
            Self::IpApi => 100,
        }
    }
}

fn check(holds: bool, error: ConfigError) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(error) }
}

fn is_base(base: &Uri) -> bool {
    let is_http = base.scheme().is_some_and(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
    let is_plain = base.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    is_http && is_plain && base.query().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_what_the_providers_take() {
        let token = || Some(Secret::new("t"));
        for (provider, token, batch, requests) in [
            (Provider::IpInfo, None, 1, 60),
            (Provider::IpInfo, token(), 1000, 60),
            (Provider::IpApi, None, 100, 15),
            (Provider::IpApi, token(), 100, 600),
        ] {
            let config = Config::new(provider, token);
            assert_eq!(config.check(), Ok(()));
            assert_eq!((config.batch, config.effective_rate().requests), (batch, requests));
        }
        let single = Config { batch: 1, ..Config::new(Provider::IpApi, None) };
        assert_eq!(single.effective_rate(), RateLimit::per_minute(45));
    }

    #[test]
    fn settings_that_cannot_be_are_named() {
        let wrong = |change: fn(&mut Config)| {
            let mut config = Config::new(Provider::IpApi, None);
            change(&mut config);
            config.check()
        };
        assert_eq!(wrong(|config| config.token = Some(Secret::new("a b"))), Err(ConfigError::Token));
        assert_eq!(wrong(|config| config.batch = 101), Err(ConfigError::Batch { most: 100 }));
        assert_eq!(wrong(|config| config.provider = Provider::IpInfo), Err(ConfigError::Batch { most: 1 }));
        assert_eq!(wrong(|config| config.batch = 0), Err(ConfigError::Batch { most: 100 }));
        assert_eq!(wrong(|config| config.rate = Some(RateLimit::per_minute(0))), Err(ConfigError::Rate));
        let endless =
            |config: &mut Config| config.rate = Some(RateLimit { requests: 1, period: Duration::ZERO });
        assert_eq!(wrong(endless), Err(ConfigError::Rate));
        assert_eq!(
            wrong(|config| config.recent_interval = Duration::from_micros(999)),
            Err(ConfigError::Interval("recent_interval"))
        );
        assert_eq!(
            wrong(|config| config.query_timeout = Duration::ZERO),
            Err(ConfigError::Wait("query_timeout"))
        );
        assert_eq!(wrong(|config| config.page = 0), Err(ConfigError::Page));
        assert_eq!(wrong(|config| config.failures_before_end = 0), Err(ConfigError::Failures));
    }

    #[test]
    fn a_base_is_a_plain_http_uri() {
        let check = |base: &str| {
            let base = Some(base.parse().unwrap());
            Config { base, ..Config::new(Provider::IpApi, None) }.check().is_ok()
        };
        assert!(check("http://127.0.0.1:8080") && check("https://proxy.example/ip-api/"));
        for base in ["/json", "ftp://example.com", "http://u:p@example.com", "http://example.com/?a=b", "*"] {
            assert!(!check(base), "{base}");
        }
    }
}
