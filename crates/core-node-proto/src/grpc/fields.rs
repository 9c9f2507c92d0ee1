//! Fields of messages, whatever their types in the schema.
//!
//! A field that the schema calls `optional` is an `Option`; a plain one that is zero or empty is not distinguishable from one
//! that was not sent.

use crate::message::FieldError;
use crate::value::{Timestamp, ValueError};

/// What counts as milliseconds where a number is an instant; below it are seconds. §10.5.
const LEAST_MILLISECONDS: i64 = 100_000_000_000;

/// A field that may be left out.
pub(crate) trait Field: Default {
    /// Whether something was sent: a plain field is not its default, an `optional` one is there.
    fn is_given(&self) -> bool;
}

/// A field that holds a number.
pub(crate) trait Number: Field {
    /// Whether milliseconds since 1970 do not fit.
    const IS_SHORT: bool;

    /// Takes a whole number, the nearest that fits.
    fn from_whole(number: i64) -> Self;

    /// Takes a number, the nearest that fits.
    fn from_float(number: f64) -> Self;

    /// Returns a whole number; 0 if there is none.
    fn whole(&self) -> Result<i64, ValueError>;

    /// Returns a number; 0 if there is none.
    fn float(&self) -> f64;
}

/// A field that holds a text.
pub(crate) trait Text: Field {
    /// Takes a text.
    fn from_text(text: String) -> Self;

    /// Returns the text; empty if there is none.
    fn text(&self) -> &str;

    /// Returns the text itself.
    fn into_text(self) -> String;
}

/// A field that holds true or false.
pub(crate) trait Flag {
    /// Takes the value.
    fn from_flag(value: bool) -> Self;

    /// Returns the value; false if there is none.
    fn flag(&self) -> bool;
}

/// A field that says when an address was last seen, as a text or as a number. §10.5.
pub(crate) trait LastSeen: Field {
    /// Takes the instant: a number counts milliseconds, or seconds where those do not fit or are before 1973.
    fn from_instant(at: Timestamp) -> Self;

    /// Returns the instant; `None` if there is none or it is not readable.
    fn instant(&self) -> Option<Timestamp>;
}

macro_rules! whole_number {
    ($($type:ty)*) => {$(
        impl Field for $type {
            fn is_given(&self) -> bool {
                *self != 0
            }
        }

        impl Number for $type {
            const IS_SHORT: bool = size_of::<Self>() < 8;

            fn from_whole(number: i64) -> Self {
                Self::try_from(number).unwrap_or(if number < 0 { Self::MIN } else { Self::MAX })
            }

            fn from_float(number: f64) -> Self {
                number as Self
            }

            fn whole(&self) -> Result<i64, ValueError> {
                // What does not fit is refused by the next check, with the range of its field.
                Ok(i64::try_from(*self).unwrap_or(i64::MIN))
            }

            fn float(&self) -> f64 {
                *self as f64
            }
        }

        number_last_seen!($type);
    )*};
}

macro_rules! float_number {
    ($($type:ty)*) => {$(
        impl Field for $type {
            fn is_given(&self) -> bool {
                *self != 0.0
            }
        }

        impl Number for $type {
            const IS_SHORT: bool = size_of::<Self>() < 8;

            fn from_whole(number: i64) -> Self {
                number as Self
            }

            fn from_float(number: f64) -> Self {
                number as Self
            }

            fn whole(&self) -> Result<i64, ValueError> {
                const BEYOND: f64 = 9_223_372_036_854_775_808.0; // 2⁶³
                let number = self.float();
                if number % 1.0 != 0.0 {
                    return Err(ValueError::NotWhole);
                }
                Ok(if number.abs() < BEYOND { number as i64 } else { i64::MIN })
            }

            fn float(&self) -> f64 {
                f64::from(*self)
            }
        }

        number_last_seen!($type);
    )*};
}

macro_rules! number_last_seen {
    ($type:ty) => {
        impl LastSeen for $type {
            fn from_instant(at: Timestamp) -> Self {
                let milliseconds = at.unix_milliseconds();
                let in_seconds = Self::IS_SHORT || milliseconds < LEAST_MILLISECONDS;
                Self::from_whole(if in_seconds { milliseconds / 1000 } else { milliseconds })
            }

            fn instant(&self) -> Option<Timestamp> {
                let number = u64::try_from(self.whole().ok()?).ok().filter(|number| *number != 0)?;
                Timestamp::from_unix_guess(number).ok()
            }
        }
    };
}

whole_number!(i32 i64 u32 u64);
float_number!(f32 f64);

impl Field for String {
    fn is_given(&self) -> bool {
        !self.is_empty()
    }
}

impl Text for String {
    fn from_text(text: String) -> Self {
        text
    }

    fn text(&self) -> &str {
        self
    }

    fn into_text(self) -> String {
        self
    }
}

impl LastSeen for String {
    fn from_instant(at: Timestamp) -> Self {
        at.to_string()
    }

    fn instant(&self) -> Option<Timestamp> {
        Timestamp::from_last_seen(self).ok()
    }
}

impl Flag for bool {
    fn from_flag(value: bool) -> Self {
        value
    }

    fn flag(&self) -> bool {
        *self
    }
}

impl<T> Field for Option<T> {
    fn is_given(&self) -> bool {
        self.is_some()
    }
}

impl<T: Number> Number for Option<T> {
    const IS_SHORT: bool = T::IS_SHORT;

    fn from_whole(number: i64) -> Self {
        Some(T::from_whole(number))
    }

    fn from_float(number: f64) -> Self {
        Some(T::from_float(number))
    }

    fn whole(&self) -> Result<i64, ValueError> {
        self.as_ref().map_or(Ok(0), T::whole)
    }

    fn float(&self) -> f64 {
        self.as_ref().map_or(0.0, T::float)
    }
}

impl<T: Text> Text for Option<T> {
    fn from_text(text: String) -> Self {
        Some(T::from_text(text))
    }

    fn text(&self) -> &str {
        self.as_ref().map_or("", T::text)
    }

    fn into_text(self) -> String {
        self.map_or_else(String::new, T::into_text)
    }
}

impl<T: Flag> Flag for Option<T> {
    fn from_flag(value: bool) -> Self {
        Some(T::from_flag(value))
    }

    fn flag(&self) -> bool {
        self.as_ref().is_some_and(T::flag)
    }
}

impl<T: LastSeen> LastSeen for Option<T> {
    fn from_instant(at: Timestamp) -> Self {
        Some(T::from_instant(at))
    }

    fn instant(&self) -> Option<Timestamp> {
        self.as_ref()?.instant()
    }
}

/// Reads a whole number.
pub(super) fn whole<T>(
    name: &str,
    field: &impl Number,
    read: impl FnOnce(i64) -> Result<T, ValueError>,
) -> Result<T, FieldError> {
    field.whole().and_then(read).map_err(|error| FieldError::new(name, error))
}

/// Reads a whole number that may be left out.
pub(super) fn optional_whole<T>(
    name: &str,
    field: &impl Number,
    read: impl FnOnce(i64) -> Result<T, ValueError>,
) -> Result<Option<T>, FieldError> {
    field.is_given().then(|| whole(name, field, read)).transpose()
}

/// Reads a finite number.
pub(super) fn finite(name: &str, field: &impl Number) -> Result<f64, FieldError> {
    let number = field.float();
    if number.is_finite() { Ok(number) } else { Err(FieldError::new(name, ValueError::NotFinite)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_fits_every_type_or_becomes_the_nearest() {
        assert_eq!((i64::from_whole(-5), i32::from_whole(1 << 40), u32::from_whole(-5)), (-5, i32::MAX, 0));
        assert_eq!((f64::from_whole(5), Option::<u64>::from_whole(0)), (5.0, Some(0)));
        assert_eq!((i32::from_float(-2.5), f32::from_float(0.5), u64::from_float(f64::NAN)), (-2, 0.5, 0));
    }

    #[test]
    fn a_number_is_whole_by_its_value() {
        assert_eq!(
            (5.0_f64.whole(), 5.0_f32.whole(), (-5_i32).whole(), 5_u64.whole()),
            (Ok(5), Ok(5), Ok(-5), Ok(5))
        );
        for number in [0.5, f64::NAN, f64::INFINITY] {
            assert_eq!(number.whole(), Err(ValueError::NotWhole), "{number}");
        }
        assert_eq!(
            (u64::MAX.whole(), 1e300.whole(), None::<i32>.whole()),
            (Ok(i64::MIN), Ok(i64::MIN), Ok(0))
        );
    }

    #[test]
    fn zero_is_given_only_where_the_schema_can_tell() {
        assert!(!0_i32.is_given() && !String::new().is_given() && !None::<i64>.is_given());
        assert!(Some(0_i32).is_given() && Some(String::new()).is_given() && 0.5_f64.is_given());
    }

    #[test]
    fn a_last_seen_instant_is_a_text_or_a_number_as_large_as_fits() {
        let at: Timestamp = "2030-01-02T03:04:05.678Z".parse().unwrap();
        assert_eq!(String::from_instant(at), "2030-01-02T03:04:05.678Z");
        assert_eq!((i64::from_instant(at), f64::from_instant(at)), (1_893_553_445_678, 1_893_553_445_678.0));
        assert_eq!(
            (i32::from_instant(at), Option::<u32>::from_instant(at)),
            (1_893_553_445, Some(1_893_553_445))
        );
        assert_eq!(
            (1_893_553_445_678_i64.instant(), Some(1_893_553_445_678.0).instant()),
            (Some(at), Some(at))
        );
        let seconds = "2030-01-02T03:04:05Z".parse().ok();
        assert_eq!((1_893_553_445_u32.instant(), "1893553445".to_owned().instant()), (seconds, seconds));
        let early: Timestamp = "1971-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(i64::from_instant(early).instant(), Some(early));
    }

    #[test]
    fn an_unreadable_last_seen_instant_is_none() {
        assert_eq!(
            (0_i64.instant(), (-1_i64).instant(), u64::MAX.instant(), 0.5.instant()),
            (None, None, None, None)
        );
        assert_eq!(
            (String::new().instant(), "yesterday".to_owned().instant(), None::<i64>.instant()),
            (None, None, None)
        );
    }
}
