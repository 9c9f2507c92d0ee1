//! Arithmetic that never yields NaN, an infinity or a negative rate.

use std::time::Duration;

/// Returns how much a counter grew per second, rounded up; 0 where it went backwards.
pub(super) fn per_second(now: u64, before: u64, elapsed: Duration) -> f64 {
    quotient(growth(now, before), elapsed.as_secs_f64()).ceil()
}

/// Returns how much a counter grew; 0 where it went backwards.
pub(super) fn growth(now: u64, before: u64) -> f64 {
    now.saturating_sub(before) as f64
}

/// Returns the share of `part` in `whole`, from 0 to 1.
pub(super) fn ratio(part: f64, whole: f64) -> f64 {
    mean(part, whole).clamp(0.0, 1.0)
}

/// Returns `part` divided by `whole`, to nine decimals: finer than the counters are, and half the bytes in a report.
pub(super) fn mean(part: f64, whole: f64) -> f64 {
    const DECIMALS: f64 = 1e9;
    finite((quotient(part, whole) * DECIMALS).round() / DECIMALS)
}

/// Returns `part` divided by `whole`; 0 where there is no whole.
pub(super) fn quotient(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { finite(part / whole) } else { 0.0 }
}

/// Rounds up to three decimals.
pub(super) fn thousandths_up(value: f64) -> f64 {
    finite((value * 1000.0).ceil() / 1000.0)
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_rounded_up_and_never_negative() {
        assert_eq!(per_second(10, 0, Duration::from_secs(3)), 4.0);
        assert_eq!(per_second(9, 10, Duration::from_secs(3)), 0.0);
        assert_eq!(per_second(10, 0, Duration::ZERO), 0.0);
        assert_eq!(thousandths_up(12.2661), 12.267);
    }

    #[test]
    fn ratios_stay_between_zero_and_one() {
        assert_eq!(ratio(1.0, 4.0), 0.25);
        assert_eq!(ratio(5.0, 4.0), 1.0);
        assert_eq!(ratio(0.0, 0.0), 0.0);
        assert_eq!(ratio(f64::NAN, 1.0), 0.0);
        assert_eq!(ratio(2.0, 3.0), 0.666_666_667);
        assert_eq!(quotient(f64::MAX, f64::MIN_POSITIVE), 0.0);
    }
}
