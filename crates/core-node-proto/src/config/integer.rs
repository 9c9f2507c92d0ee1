//! Integers in JSON, told from other numbers by their value, as JavaScript does.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

/// An integer that fits 0..=2³¹-1.
pub(super) struct Integer(pub(super) u32);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;

        impl Visitor<'_> for Value {
            type Value = Integer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer in range")
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Integer, E> {
                let value = i32::try_from(value).map_err(|_| E::custom("out of range"))?;
                Ok(Integer(value.unsigned_abs()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Integer, E> {
                let whole = value.fract() == 0.0 && (0.0..=f64::from(i32::MAX)).contains(&value);
                if whole { Ok(Integer(value as u32)) } else { Err(E::custom("no integer in range")) }
            }
        }

        deserializer.deserialize_any(Value)
    }
}
