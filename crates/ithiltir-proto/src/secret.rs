//! Keys that never show.

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use subtle::ConstantTimeEq;

/// A node's key. `Debug` hides it, comparison takes constant time; [`expose`](Self::expose) is the only way to it.
#[derive(Clone, Default)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes the key as it stands, white space included.
    #[must_use]
    pub fn new(key: impl Into<Box<str>>) -> Self {
        Self(key.into())
    }

    /// Returns the key itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the key without white space at its ends, which is what goes over the wire.
    #[must_use]
    pub fn trimmed(&self) -> Self {
        Self(self.0.trim().into())
    }

    /// Whether this is the key, compared in constant time for keys of the same length.
    #[must_use]
    pub fn matches(&self, key: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(key).into()
    }

    /// Whether nothing but white space is in it.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_bytes())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// Asks for text: a YAML reader then hands over a number as it is spelled, which is what the original takes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Secret;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, key: &str) -> Result<Secret, E> {
                Ok(Secret::new(key))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
