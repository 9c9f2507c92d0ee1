//! Byte counters. §6.3.

use super::ValueError;
use std::fmt;

/// A number of bytes since the last report, 0 to 2⁶³-1. Over HTTP it is at most [`MAX_HTTP`](Self::MAX_HTTP), and an
/// agent keeps to that over gRPC, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteCount(u64);

impl ByteCount {
    /// No byte.
    pub const ZERO: Self = Self(0);
    /// The greatest one, 2⁶³-1.
    pub const MAX: Self = Self(i64::MAX as u64);
    /// The greatest one that JSON carries exactly to every reader, 2⁵³-1.
    pub const MAX_HTTP: Self = Self((1 << 53) - 1);

    /// Takes a number of bytes.
    ///
    /// # Errors
    /// [`ValueError::OutOfRange`] above 2⁶³-1.
    pub const fn new(bytes: u64) -> Result<Self, ValueError> {
        if bytes <= Self::MAX.0 {
            Ok(Self(bytes))
        } else {
            Err(ValueError::OutOfRange { least: 0, most: Self::MAX.0 })
        }
    }

    /// Takes a number as protobuf's `int64` carries it.
    ///
    /// # Errors
    /// [`ValueError::OutOfRange`] below 0.
    pub const fn from_i64(bytes: i64) -> Result<Self, ValueError> {
        if bytes >= 0 {
            Ok(Self(bytes as u64))
        } else {
            Err(ValueError::OutOfRange { least: 0, most: Self::MAX.0 })
        }
    }

    /// Takes a number that came over HTTP.
    ///
    /// # Errors
    /// [`ValueError::OutOfRange`] below 0 and above 2⁵³-1.
    pub const fn from_http(bytes: i64) -> Result<Self, ValueError> {
        if bytes >= 0 && bytes as u64 <= Self::MAX_HTTP.0 {
            Ok(Self(bytes as u64))
        } else {
            Err(ValueError::OutOfRange { least: 0, most: Self::MAX_HTTP.0 })
        }
    }

    /// Returns the number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the number of bytes as protobuf's `int64` carries it.
    #[must_use]
    pub const fn as_i64(self) -> i64 {
        self.0 as i64
    }

    /// Whether it can go over HTTP: at most 2⁵³-1.
    #[must_use]
    pub const fn fits_http(self) -> bool {
        self.0 <= Self::MAX_HTTP.0
    }

    /// Returns the sum, at most 2⁶³-1.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        let sum = self.0 + other.0; // Two of them fit 64 bits.
        if sum > Self::MAX.0 { Self::MAX } else { Self(sum) }
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_ends_at_what_javascript_counts_exactly_and_grpc_at_63_bits() {
        assert_eq!(ByteCount::from_http(9_007_199_254_740_991), Ok(ByteCount::MAX_HTTP));
        assert!(ByteCount::from_http(9_007_199_254_740_992).is_err());
        assert_eq!(ByteCount::from_i64(i64::MAX), Ok(ByteCount::MAX));
        assert!(!ByteCount::MAX.fits_http() && ByteCount::MAX_HTTP.fits_http());
        assert!(ByteCount::new(1 << 63).is_err());
        assert_eq!(ByteCount::new(i64::MAX as u64).map(ByteCount::as_i64), Ok(i64::MAX));
    }

    #[test]
    fn a_counter_is_never_negative() {
        assert!(ByteCount::from_http(-1).is_err() && ByteCount::from_i64(-1).is_err());
    }

    #[test]
    fn sums_stop_at_the_greatest_counter() {
        assert_eq!(ByteCount::MAX.saturating_add(ByteCount::MAX), ByteCount::MAX);
        let two = ByteCount::new(2).unwrap();
        assert_eq!(two.saturating_add(two).get(), 4);
    }
}
