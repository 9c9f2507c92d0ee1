//! The one reading of the real clock, and a clock that only tests move.

use std::sync::OnceLock;
use std::time::Duration;
use web_time::Instant;

/// Returns the starting point of all virtual time: the same instant at every call of one process.
pub fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// The current virtual time.
    pub now: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// Makes a clock that shows [`epoch`].
    pub fn new() -> Self {
        Self { now: epoch() }
    }

    /// Moves the clock forward and returns the new time.
    ///
    /// # Panics
    /// If the time cannot be represented.
    #[track_caller]
    pub fn advance(&mut self, by: Duration) -> Instant {
        self.now = self.now.checked_add(by).expect("virtual time stays within what an Instant can hold");
        self.now
    }

    /// Moves the clock to `at` and returns it.
    ///
    /// # Panics
    /// If `at` lies in the past: virtual time never runs backwards.
    #[track_caller]
    pub fn jump_to(&mut self, at: Instant) -> Instant {
        assert!(at >= self.now, "the clock was asked to go back by {:?}", self.now - at);
        self.now = at;
        at
    }

    /// Returns how long after [`epoch`] the clock stands.
    pub fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(epoch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_is_read_once() {
        let first = epoch();
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(epoch(), first);
    }

    #[test]
    fn a_clock_moves_only_when_told() {
        let mut clock = Clock::default();
        assert_eq!(clock.now, epoch());
        assert_eq!(clock.advance(Duration::from_secs(2)), epoch() + Duration::from_secs(2));
        clock.jump_to(epoch() + Duration::from_secs(5));
        assert_eq!(clock.elapsed(), Duration::from_secs(5));
    }

    #[test]
    #[should_panic(expected = "the clock was asked to go back by 1s")]
    fn a_clock_never_goes_back() {
        let mut clock = Clock::new();
        clock.advance(Duration::from_secs(1));
        clock.jump_to(epoch());
    }
}
