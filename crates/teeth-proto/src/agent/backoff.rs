//! When to connect again.

use super::ConfigError;
use std::f64::consts::{E, TAU};
use std::time::Duration;

/// Settings of a [`Backoff`], with the original's values.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BackoffConfig {
    /// What the waits grow from, above 0; the first wait is this times the factor. 1 s.
    pub base: Duration,
    /// How they grow, at least 1. e = 2.718….
    pub factor: f64,
    /// The most a wait is before it is spread, above 0. 120 s.
    pub max_wait: Duration,
    /// Standard deviation of a wait, as a part of it, from 0 to 0.5. 0.11962656472.
    pub spread: f64,
    /// What starts the waits anew. A handshake; in the original a connection does, so that a server which accepts and
    /// closes is called every three seconds for ever.
    pub reset: BackoffReset,
}

/// What starts the waits anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the safe way and the original's")]
pub enum BackoffReset {
    /// The server has answered the handshake with a result; without handshakes, the first ping.
    #[default]
    Handshake,
    /// A connection was opened.
    Connect,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            factor: E,
            max_wait: Duration::from_secs(120),
            spread: 0.119_626_564_72,
            reset: BackoffReset::default(),
        }
    }
}

/// The waits between attempts to connect: each is the one before times the factor, capped, then spread by a normal
/// distribution; the spread wait is what the next one grows from. Without a spread 2.7 s, 7.4 s, 20 s, 55 s, 120 s,
/// 120 s and so on; with it a bit over 120 s may occur.
///
/// ```
/// use teeth_proto::agent::{Backoff, BackoffConfig};
///
/// let mut config = BackoffConfig::default();
/// config.spread = 0.0;
/// let mut backoff = Backoff::new(config, 1)?;
/// let waits: Vec<u128> = (0..6).map(|_| backoff.next_wait().as_millis()).collect();
/// assert_eq!(waits, [2718, 7389, 20085, 54598, 120_000, 120_000]);
/// backoff.reset();
/// assert_eq!(backoff.next_wait().as_millis(), 2718);
/// # Ok::<(), teeth_proto::agent::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    config: BackoffConfig,
    random: fastrand::Rng,
    /// The last wait, in seconds.
    delay: f64,
}

impl Backoff {
    /// Starts with no wait behind it.
    ///
    /// # Errors
    /// [`ConfigError::Backoff`] if a setting is out of its range.
    pub fn new(config: BackoffConfig, seed: u64) -> Result<Self, ConfigError> {
        let is_good = !config.base.is_zero()
            && !config.max_wait.is_zero()
            && config.factor.is_finite()
            && config.factor >= 1.0
            && (0.0..=0.5).contains(&config.spread);
        if !is_good {
            return Err(ConfigError::Backoff);
        }
        Ok(Self { delay: config.base.as_secs_f64(), random: fastrand::Rng::with_seed(seed), config })
    }

    /// Returns how long to wait now, and goes on to the next wait. Never less than 1 ms or a tenth of `base`, or of
    /// `max_wait` if that is less.
    pub fn next_wait(&mut self) -> Duration {
        let mean = (self.delay * self.config.factor).min(self.config.max_wait.as_secs_f64());
        let wait = mean + self.normal() * self.config.spread * mean;
        // Far outside of the original's spread: no setting makes the waits vanish.
        let least = self.config.base.min(self.config.max_wait).as_secs_f64() / 10.0;
        self.delay = wait.max(least.max(0.001));
        Duration::try_from_secs_f64(self.delay).unwrap_or(self.config.max_wait)
    }

    /// Starts anew.
    pub fn reset(&mut self) {
        self.delay = self.config.base.as_secs_f64();
    }

    /// A normally distributed number (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.random.f64()).ln()).sqrt();
        radius * (TAU * self.random.f64()).cos()
    }
}
