//! Members and their names, as whatever kind of value they are.

use crate::value::ValueError;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A member that holds a text, a number or a boolean.
#[derive(Debug, Default)]
pub(crate) enum Scalar<'a> {
    /// Not given, or null.
    #[default]
    Absent,
    Boolean(bool),
    /// A number with a whole value.
    Whole(i64),
    /// A number with a whole value beyond 64 bits.
    Huge(f64),
    Fraction(f64),
    Text(Cow<'a, str>),
    /// A list or an object.
    Other,
}

impl Scalar<'_> {
    pub(crate) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(crate) const fn whole(&self) -> Result<i64, ValueError> {
        match self {
            Self::Whole(number) => Ok(*number),
            // No field reaches that far, so that the next check refuses it with its own range.
            Self::Huge(_) => Ok(i64::MIN),
            Self::Fraction(_) => Err(ValueError::NotWhole),
            _ => Err(ValueError::NotANumber),
        }
    }

    /// Returns any number.
    pub(crate) const fn number(&self) -> Result<f64, ValueError> {
        match self {
            Self::Whole(number) => Ok(*number as f64),
            Self::Huge(number) | Self::Fraction(number) => Ok(*number),
            _ => Err(ValueError::NotANumber),
        }
    }

    pub(crate) fn text(&self) -> Result<&str, ValueError> {
        if let Self::Text(text) = self { Ok(text) } else { Err(ValueError::NotAText) }
    }

    pub(crate) const fn boolean(&self) -> Result<bool, ValueError> {
        if let Self::Boolean(value) = self { Ok(*value) } else { Err(ValueError::NotABoolean) }
    }

    const fn from_float(number: f64) -> Self {
        const BEYOND: f64 = 9_223_372_036_854_775_808.0; // 2⁶³
        if number % 1.0 != 0.0 {
            Self::Fraction(number)
        } else if number >= -BEYOND && number < BEYOND {
            Self::Whole(number as i64)
        } else {
            Self::Huge(number)
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Absent)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Boolean(value))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Whole(number))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
                Ok(i64::try_from(number).map_or(Scalar::Huge(number as f64), Scalar::Whole))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::from_float(number))
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Scalar<'de>, A::Error> {
                IgnoredAny.visit_seq(list).map(|_| Scalar::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Scalar<'de>, A::Error> {
                IgnoredAny.visit_map(map).map(|_| Scalar::Other)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// The name of a member, borrowed where it can be.
pub(crate) struct Name<'de>(pub(crate) Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a member")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }
            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
