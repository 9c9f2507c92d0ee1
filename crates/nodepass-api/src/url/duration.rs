//! Durations as the original programs read and write them: `1h30m`, `1.5h`, `500ms`. §6.

use std::fmt;
use std::time::Duration;

const NANOSECONDS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// One more than what a duration may be, in nanoseconds; also the size of the least one.
const LIMIT: u64 = 1 << 63;

/// Reads a duration as the original programs do, in parameters and in variables of the environment: `1h30m`, `1.5h`, `500ms`. `None` if the text is none, if it is negative, and if it is longer than 2^63 - 1 ns (292 years).
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (part, after) = part(rest)?;
        total = total.checked_add(part).filter(|total| *total <= LIMIT)?;
        rest = after;
    }
    let fits = if is_negative { total == 0 } else { total < LIMIT };
    fits.then(|| Duration::from_nanos(total))
}

/// Reads digits, perhaps a point and digits, and a unit. Returns nanoseconds and the rest.
fn part(text: &str) -> Option<(u64, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let unit_end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(unit_end);
    let (_, unit) = NANOSECONDS.into_iter().find(|(known, _)| *known == name)?;
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let whole = whole.checked_mul(unit).filter(|total| *total <= LIMIT)?;
    Some((whole.checked_add(share(fraction, unit))?, rest))
}

/// Returns what a fraction is of a unit. Digits beyond what 63 bits hold change nothing, as in the original.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the original computes in floating point, and the result is less than the unit"
)]
fn share(fraction: &str, unit: u64) -> u64 {
    let (mut value, mut scale) = (0u64, 1.0);
    for digit in fraction.bytes() {
        if value > (LIMIT - 1) / 10 {
            break;
        }
        let next = value * 10 + u64::from(digit - b'0');
        if next > LIMIT {
            break;
        }
        value = next;
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

/// Writes a duration as the original programs do: `1h0m0s`, `1.5s`, `500ms`, `0s`.
pub(super) struct Shown(pub(super) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.as_nanos();
        match nanoseconds {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{nanoseconds}ns"),
            1_000..1_000_000 => decimal(f, nanoseconds, 3, "\u{b5}s"),
            1_000_000..1_000_000_000 => decimal(f, nanoseconds, 6, "ms"),
            _ => {
                let minutes = self.0.as_secs() / 60;
                match (minutes / 60, minutes % 60) {
                    (0, 0) => {}
                    (0, minutes) => write!(f, "{minutes}m")?,
                    (hours, minutes) => write!(f, "{hours}h{minutes}m")?,
                }
                decimal(f, nanoseconds % 60_000_000_000, 9, "s")
            }
        }
    }
}

/// Writes a number with so many decimals, without zeros at the end.
fn decimal(f: &mut fmt::Formatter<'_>, value: u128, decimals: u32, unit: &str) -> fmt::Result {
    let scale = 10u128.pow(decimals);
    let fraction = format!("{:0width$}", value % scale, width = decimals as usize);
    match fraction.trim_end_matches('0') {
        "" => write!(f, "{}{unit}", value / scale),
        fraction => write!(f, "{}.{fraction}{unit}", value / scale),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_the_original_does() {
        for (text, shown) in [
            ("30s", "30s"),
            ("1h30m", "1h30m0s"),
            ("1.5h", "1h30m0s"),
            ("500ms", "500ms"),
            ("0", "0s"),
            ("-0", "0s"),
            ("+5s", "5s"),
            ("90s", "1m30s"),
            ("1h", "1h0m0s"),
            (".5s", "500ms"),
            ("1.s", "1s"),
            ("1500us", "1.5ms"),
            ("1\u{b5}s", "1\u{b5}s"),
            ("12ns", "12ns"),
            ("1.000000001s", "1.000000001s"),
            ("1h1h", "2h0m0s"),
            ("0.1234567890123456789012s", "123.456789ms"),
            ("9223372036854775807ns", "2562047h47m16.854775807s"),
        ] {
            assert_eq!(
                parse_duration(text).map(|read| Shown(read).to_string()).as_deref(),
                Some(shown),
                "{text}"
            );
        }
        for text in [
            "",
            "30",
            "1d",
            "-5s",
            "s",
            ".s",
            "+",
            "1h ",
            " 1h",
            "1H",
            "1e3s",
            "9223372036854775808ns",
            "3000000h",
            "99999999999999999999h",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
