//! Instants as text. §6.4, §10.5.

use super::ValueError;
use jiff::civil::{Date, Time, date};
use jiff::{Span, Unit};
use std::fmt;
use std::str::FromStr;

/// An instant of wall-clock time in milliseconds, from year 0 to year 9999.
///
/// Written in UTC with three fractional digits and `Z`. Read with `T`, a fraction of up to nine digits, of which
/// three count, and a zone, `Z` or an offset, that is not kept. A date alone, a missing zone, hour 24, second 60 and
/// lower-case letters are refused.
///
/// ```
/// use core_node_proto::value::Timestamp;
/// let at: Timestamp = "2030-01-02T05:04:05.6789+02:00".parse()?;
/// assert_eq!(at.to_string(), "2030-01-02T03:04:05.678Z");
/// assert_eq!(at.unix_milliseconds(), 1_893_553_445_678);
/// # Ok::<(), core_node_proto::value::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const DAY: i64 = 86_400_000;
const EPOCH: Date = date(1970, 1, 1);

impl Timestamp {
    /// The first one, `0000-01-01T00:00:00.000Z`.
    pub const MIN: Self = Self(-62_167_219_200_000);
    /// The last one, `9999-12-31T23:59:59.999Z`.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// Returns the instant that many milliseconds after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`ValueError::NotATimestamp`] before year 0 and after year 9999.
    pub const fn from_unix_milliseconds(milliseconds: i64) -> Result<Self, ValueError> {
        if milliseconds >= Self::MIN.0 && milliseconds <= Self::MAX.0 {
            Ok(Self(milliseconds))
        } else {
            Err(ValueError::NotATimestamp)
        }
    }

    /// Returns the milliseconds since 1970-01-01T00:00:00Z, negative before.
    #[must_use]
    pub const fn unix_milliseconds(self) -> i64 {
        self.0
    }

    /// Reads when an address was last seen from a number: seconds since 1970, from 10¹¹ on milliseconds. §10.5.
    ///
    /// # Errors
    /// [`ValueError::NotATimestamp`] after year 9999.
    pub fn from_unix_guess(number: u64) -> Result<Self, ValueError> {
        let number = i64::try_from(number).map_err(|_| ValueError::NotATimestamp)?;
        Self::from_unix_milliseconds(if number < 100_000_000_000 { number * 1000 } else { number })
    }

    /// Reads when an address was last seen from a text: an instant, or a decimal number as
    /// [`from_unix_guess`](Self::from_unix_guess) takes it. §10.5.
    ///
    /// # Errors
    /// [`ValueError::NotATimestamp`].
    pub fn from_last_seen(text: &str) -> Result<Self, ValueError> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Self::from_unix_guess(text.parse().map_err(|_| ValueError::NotATimestamp)?)
        } else {
            text.parse()
        }
    }

    /// Returns the instant that many milliseconds later, at most the last one.
    #[must_use]
    pub const fn saturating_add_milliseconds(self, milliseconds: u64) -> Self {
        let sum = self.0.saturating_add_unsigned(milliseconds);
        if sum > Self::MAX.0 { Self::MAX } else { Self(sum) }
    }
}

impl FromStr for Timestamp {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        read(text.as_bytes()).ok_or(ValueError::NotATimestamp)
    }
}

fn read(text: &[u8]) -> Option<Timestamp> {
    let (head, rest) = text.split_at_checked(19)?;
    let mark = |place: usize, mark: u8| (head[place] == mark).then_some(());
    mark(4, b'-')?;
    mark(7, b'-')?;
    mark(10, b'T')?;
    mark(13, b':')?;
    mark(16, b':')?;
    let two = |place: usize| i8::try_from(digits(&head[place..place + 2])?).ok();
    let date = Date::new(i16::try_from(digits(&head[..4])?).ok()?, two(5)?, two(8)?).ok()?;
    let time = Time::new(two(11)?, two(14)?, two(17)?, 0).ok()?;
    let (milliseconds, zone) = fraction(rest)?;
    let days = EPOCH.until((Unit::Day, date)).ok()?.get_days();
    let seconds = (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60 + i64::from(time.second());
    let local = i64::from(days) * DAY + seconds * 1000 + milliseconds;
    Timestamp::from_unix_milliseconds(local - offset(zone)?).ok()
}

/// Reads a fraction if there is one; returns its milliseconds and what follows.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else { return Some((0, text)) };
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&length) {
        return None;
    }
    let mut thousandths = [b'0'; 3];
    for (to, from) in thousandths.iter_mut().zip(&text[..length]) {
        *to = *from;
    }
    Some((digits(&thousandths)?, &text[length..]))
}

/// Reads a zone as milliseconds east of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    let sign = match zone {
        b"Z" => return Some(0),
        [b'+', _, _, b':', _, _] => 1,
        [b'-', _, _, b':', _, _] => -1,
        _ => return None,
    };
    let (hours, minutes) = (digits(&zone[1..3])?, digits(&zone[4..6])?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

/// Reads a few decimal digits.
fn digits(text: &[u8]) -> Option<i64> {
    text.iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, within) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let date = EPOCH.checked_add(Span::new().days(days)).expect("the range is that of the calendar");
        let (hour, minute) = (within / 3_600_000, within / 60_000 % 60);
        let (second, millisecond) = (within / 1000 % 60, within % 1000);
        let (year, month, day) = (date.year(), date.month(), date.day());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, ValueError> {
        text.parse::<Timestamp>().map(|at| at.to_string())
    }

    #[test]
    fn writes_utc_with_three_digits_and_reads_it_again() {
        for text in [
            "2030-01-02T03:04:05.678Z",
            "1970-01-01T00:00:00.000Z",
            "1969-12-31T23:59:59.999Z",
            "2024-02-29T00:00:00.001Z",
            "0000-01-01T00:00:00.000Z",
            "9999-12-31T23:59:59.999Z",
        ] {
            assert_eq!(read(text).as_deref(), Ok(text));
        }
        assert_eq!(Timestamp::MIN.to_string(), "0000-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn an_offset_is_taken_off_and_the_fraction_cut() {
        assert_eq!(read("2030-01-02T03:04:05Z").as_deref(), Ok("2030-01-02T03:04:05.000Z"));
        assert_eq!(read("2030-01-02T03:04:05.9Z").as_deref(), Ok("2030-01-02T03:04:05.900Z"));
        assert_eq!(read("2030-01-02T03:04:05.999999999Z").as_deref(), Ok("2030-01-02T03:04:05.999Z"));
        assert_eq!(read("2030-01-01T00:30:00.5+01:30").as_deref(), Ok("2029-12-31T23:00:00.500Z"));
        assert_eq!(read("2029-12-31T23:30:00-00:45").as_deref(), Ok("2030-01-01T00:15:00.000Z"));
        // The fraction is cut in the text, not towards 1970.
        assert_eq!(read("1969-12-31T23:59:59.9999Z").as_deref(), Ok("1969-12-31T23:59:59.999Z"));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "2030-01-02",
            "2030-01-02T03:04Z",
            "2030-01-02T03:04:05",
            "2030-01-02T03:04:05.678",
            "2030-01-02t03:04:05Z",
            "2030-01-02T03:04:05z",
            "2030-01-02 03:04:05Z",
            "2030-02-29T00:00:00Z",
            "2030-13-01T00:00:00Z",
            "2030-00-01T00:00:00Z",
            "2030-01-02T24:00:00Z",
            "2030-01-02T03:60:00Z",
            "2030-01-02T03:04:60Z",
            "2030-01-02T03:04:05.Z",
            "2030-01-02T03:04:05,5Z",
            "2030-01-02T03:04:05.1234567890Z",
            "2030-01-02T03:04:05+0100",
            "2030-01-02T03:04:05+01",
            "2030-01-02T03:04:05+24:00",
            "2030-01-02T03:04:05+01:60",
            "2030-01-02T03:04:05Z ",
            " 2030-01-02T03:04:05Z",
            "+2030-01-02T03:04:05Z",
            "2030-01-02T03:04:0\u{e9}Z",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
        ] {
            assert_eq!(read(text), Err(ValueError::NotATimestamp), "{text}");
        }
    }

    #[test]
    fn last_seen_may_be_a_number_of_seconds_or_milliseconds() {
        let seen = |text| Timestamp::from_last_seen(text).map(Timestamp::unix_milliseconds);
        assert_eq!(seen("1893553445"), Ok(1_893_553_445_000));
        assert_eq!(seen("99999999999"), Ok(99_999_999_999_000));
        assert_eq!(seen("100000000000"), Ok(100_000_000_000));
        assert_eq!(seen("1893553445678"), Ok(1_893_553_445_678));
        assert_eq!(seen("2030-01-02T03:04:05.678Z"), Ok(1_893_553_445_678));
        for text in ["", "-5", "1.5", "now", "99999999999999999999999999", "999999999999999999"] {
            assert_eq!(seen(text), Err(ValueError::NotATimestamp), "{text}");
        }
        assert!(Timestamp::from_unix_guess(u64::MAX).is_err());
    }

    #[test]
    fn the_last_instant_is_not_passed() {
        assert_eq!(Timestamp::MAX.saturating_add_milliseconds(1), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.saturating_add_milliseconds(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp(1).saturating_add_milliseconds(1), Timestamp(2));
    }
}
