//! Times of events. §5.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A time as events have it: RFC 3339 with up to nine digits of a second, and the master's offset. Kept as it was written.
///
/// ```
/// use nodepass_api::wire::EventTime;
///
/// let time = EventTime::from("2026-11-21T10:17:18.05+08:00");
/// assert_eq!(time.unix_milliseconds(), Some(1_795_227_438_050));
/// assert_eq!(EventTime::from_unix_nanoseconds(1_795_227_438_050_000_000).as_str(), "2026-11-21T02:17:18.05Z");
/// assert_eq!(EventTime::from("yesterday").unix_milliseconds(), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventTime(Box<str>);

impl EventTime {
    /// Returns a time in UTC, trailing zeros dropped. Times beyond the years -9999 to 9999 are the nearest of those.
    #[must_use]
    pub fn from_unix_nanoseconds(nanoseconds: i128) -> Self {
        let nearest = if nanoseconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let time = Timestamp::from_nanosecond(nanoseconds).unwrap_or(nearest);
        Self(time.to_string().into())
    }

    /// Returns it as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns milliseconds since the beginning of 1970, if it is a time.
    #[must_use]
    pub fn unix_milliseconds(&self) -> Option<i64> {
        self.0.parse().ok().map(Timestamp::as_millisecond)
    }
}

impl From<&str> for EventTime {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_beyond_the_calendar_are_its_ends() {
        let text = |nanoseconds| EventTime::from_unix_nanoseconds(nanoseconds).to_string();
        assert_eq!(text(-500_000_000), "1969-12-31T23:59:59.5Z");
        assert!(text(i128::MIN).starts_with("-009999-01-02"), "{}", text(i128::MIN));
        assert!(text(i128::MAX).starts_with("9999-12-30"), "{}", text(i128::MAX));
    }
}
