//! Instants as RFC 3339 text.

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// An instant of wall-clock time, in nanoseconds, from year 0 to year 9999.
///
/// Written in UTC with `Z` and up to nine fractional digits, trailing zeros removed. Read by the original's rules:
/// RFC 3339 with upper-case `T` and `Z`, any offset, a point or a comma before the fraction, no leap second, no
/// hour 24; digits after the ninth are dropped. The offset is not kept.
///
/// The default is the *zero instant*, `0001-01-01T00:00:00Z`, which stands for "no time" on the wire.
///
/// ```
/// use ithiltir_proto::wire::Timestamp;
/// let at: Timestamp = "2026-11-21T10:11:46.500+08:00".parse()?;
/// assert_eq!(at.to_string(), "2026-11-21T02:11:46.5Z");
/// assert_eq!(at.unix_seconds(), 1_795_227_106);
/// # Ok::<(), ithiltir_proto::wire::TimestampError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z, rounded down.
    seconds: i64,
    nanoseconds: u32,
}

/// The text is no instant by the rules of [`Timestamp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time")]
#[non_exhaustive]
pub struct TimestampError;

impl Timestamp {
    /// `0001-01-01T00:00:00Z`, the instant that stands for "no time".
    pub const ZERO: Self = Self { seconds: -62_135_596_800, nanoseconds: 0 };
    const FIRST_SECOND: i64 = -62_167_219_200; // 0000-01-01T00:00:00Z
    const LAST_SECOND: i64 = 253_402_300_799; // 9999-12-31T23:59:59Z

    /// Returns the instant `seconds` and `nanoseconds` after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// The instant lies before year 0 or after year 9999, or `nanoseconds` is a second or more.
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Result<Self, TimestampError> {
        if (Self::FIRST_SECOND..=Self::LAST_SECOND).contains(&seconds) && nanoseconds < 1_000_000_000 {
            Ok(Self { seconds, nanoseconds })
        } else {
            Err(TimestampError)
        }
    }

    /// Returns the instant of a reading of the system's clock; [`Timestamp::ZERO`] where it is out of range.
    #[must_use]
    pub fn from_system_time(time: web_time::SystemTime) -> Self {
        let since = |duration: std::time::Duration| {
            let seconds = i64::try_from(duration.as_secs()).ok()?;
            Some((seconds, duration.subsec_nanos()))
        };
        let parts = match time.duration_since(web_time::UNIX_EPOCH) {
            Ok(after) => since(after),
            Err(before) => since(before.duration()).map(|(seconds, nanoseconds)| match nanoseconds {
                0 => (-seconds, 0),
                _ => (-seconds - 1, 1_000_000_000 - nanoseconds),
            }),
        };
        parts
            .and_then(|(seconds, nanoseconds)| Self::from_unix(seconds, nanoseconds).ok())
            .unwrap_or_default()
    }

    /// Returns the whole seconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.seconds
    }

    /// Returns the nanoseconds after [`unix_seconds`](Self::unix_seconds), below 1 000 000 000.
    #[must_use]
    pub fn subsecond_nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// Whether this is the zero instant.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Returns the instant without its fraction of a second.
    #[must_use]
    pub fn truncated_to_seconds(self) -> Self {
        Self { nanoseconds: 0, ..self }
    }

    /// Returns this instant moved by `seconds`; `None` outside years 0 to 9999.
    #[must_use]
    pub fn checked_add_seconds(self, seconds: i64) -> Option<Self> {
        Self::from_unix(self.seconds.checked_add(seconds)?, self.nanoseconds).ok()
    }

    /// Returns this instant moved ahead by `duration`; `None` after year 9999.
    #[must_use]
    pub fn checked_add(self, duration: std::time::Duration) -> Option<Self> {
        let nanoseconds = self.nanoseconds + duration.subsec_nanos();
        let carried = i64::from(nanoseconds / 1_000_000_000);
        let seconds = self.seconds.checked_add_unsigned(duration.as_secs())?.checked_add(carried)?;
        Self::from_unix(seconds, nanoseconds % 1_000_000_000).ok()
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write(&mut [0; 30]))
    }
}

impl Timestamp {
    /// Writes the text into the buffer, which is as long as the longest text.
    fn write(self, buffer: &mut [u8; 30]) -> &str {
        let (year, month, day) = civil_from_days(self.seconds.div_euclid(86_400));
        let second = self.seconds.rem_euclid(86_400);
        let mut put = |at: usize, width: usize, mut value: i64| {
            for slot in buffer[at..at + width].iter_mut().rev() {
                *slot = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, month);
        put(8, 2, day);
        put(11, 2, second / 3_600);
        put(14, 2, second / 60 % 60);
        put(17, 2, second % 60);
        put(20, 9, self.nanoseconds.into());
        for (at, separator) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.')] {
            buffer[at] = separator;
        }
        let mut end = if self.nanoseconds == 0 { 19 } else { 29 };
        while end > 20 && buffer[end - 1] == b'0' {
            end -= 1;
        }
        buffer[end] = b'Z';
        std::str::from_utf8(&buffer[..=end]).expect("only ASCII was written")
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        parse(text.as_bytes()).ok_or(TimestampError)
    }
}

fn parse(text: &[u8]) -> Option<Timestamp> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, separator)| date_time[at] != separator) {
        return None;
    }
    let part = |from: usize, to: usize| digits(&date_time[from..to]).map(i64::from);
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let days = days_from_civil(year, month, day);
    // A day that the month does not have comes back as another one.
    if hour > 23 || minute > 59 || second > 59 || civil_from_days(days) != (year, month, day) {
        return None;
    }
    let (nanoseconds, rest) = fraction(rest)?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset_seconds(rest)?;
    Timestamp::from_unix(seconds, nanoseconds).ok()
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that the leap day
/// comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// Reads an optional fraction; at least one digit follows its point or comma.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let [b'.' | b',', rest @ ..] = text else {
        return Some((0, text));
    };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let kept = digits(rest.get(..length.min(9)).filter(|kept| !kept.is_empty())?)?;
    let nanoseconds = kept * 10_u32.pow(9 - length.min(9) as u32);
    Some((nanoseconds, &rest[length..]))
}

fn offset_seconds(text: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match text {
        b"Z" => return Some(0),
        [b'+', h1, h2, b':', m1, m2] => (1, [*h1, *h2], [*m1, *m2]),
        [b'-', h1, h2, b':', m1, m2] => (-1, [*h1, *h2], [*m1, *m2]),
        _ => return None,
    };
    let (hours, minutes) = (digits(&hours)?, digits(&minutes)?);
    (hours <= 24 && minutes <= 60).then_some(sign * i64::from(hours * 3600 + minutes * 60))
}

fn digits(text: &[u8]) -> Option<u32> {
    text.iter()
        .try_fold(0, |value: u32, byte| byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0')))
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.write(&mut [0; 30]))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_the_forms_of_the_original() {
        for text in [
            "2026-11-21T02:11:46.7913837Z",
            "2026-11-21T02:28:49Z",
            "0001-01-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999999Z",
            "1969-12-31T23:59:59.5Z",
            "2024-02-29T00:00:00.000000001Z",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
        let comma: Timestamp = "2026-11-21T02:11:46,5000000009+01:30".parse().unwrap();
        assert_eq!(comma.to_string(), "2026-11-21T00:41:46.5Z");
    }

    #[test]
    fn refuses_what_the_original_refuses() {
        for text in [
            "",
            "2026-11-21 02:11:46Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T02:11:60Z",
            "2026-11-21t02:11:46Z",
            "2026-11-21T02:11:46z",
            "2026-11-21T02:11:46",
            "2026-11-21T02:11:46.Z",
            "2026-02-29T00:00:00Z",
            "2026-11-21T02:11:46+0800",
            "2026-1-21T02:11:46Z",
            "0000-01-01T00:00:00+01:00",
            "20261121T021146Z\u{e9}\u{e9}\u{e9}\u{e9}",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text}");
        }
    }

    #[test]
    fn any_spelling_of_the_zero_instant_is_zero() {
        assert!("0001-01-01T08:00:00+08:00".parse::<Timestamp>().unwrap().is_zero());
        assert!(!"0001-01-02T00:00:00Z".parse::<Timestamp>().unwrap().is_zero());
    }

    #[test]
    fn every_day_of_the_calendar_is_found_again() {
        let first = days_from_civil(0, 1, 1);
        assert_eq!((first, days_from_civil(1970, 1, 1)), (-719_528, 0));
        for days in first..=days_from_civil(9999, 12, 31) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn takes_readings_of_the_system_clock_on_both_sides_of_1970() {
        use std::time::Duration;
        let epoch = web_time::UNIX_EPOCH;
        let at = |time| Timestamp::from_system_time(time).to_string();
        assert_eq!(at(epoch + Duration::from_millis(1500)), "1970-01-01T00:00:01.5Z");
        assert_eq!(at(epoch - Duration::from_millis(500)), "1969-12-31T23:59:59.5Z");
        assert_eq!(at(epoch - Duration::from_secs(1)), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn a_fraction_is_less_than_a_second_and_can_be_dropped() {
        let instant = Timestamp::from_unix(12, 999_999_999).unwrap();
        assert_eq!((instant.unix_seconds(), instant.subsecond_nanoseconds()), (12, 999_999_999));
        assert_eq!(instant.truncated_to_seconds(), Timestamp::from_unix(12, 0).unwrap());
        assert_eq!(Timestamp::from_unix(12, 1_000_000_000), Err(TimestampError));
    }
}
