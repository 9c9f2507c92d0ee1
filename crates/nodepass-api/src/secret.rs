//! Keys that never show.

use std::fmt;
use subtle::ConstantTimeEq;

/// A master's API key. `Debug` hides it, comparison takes constant time; [`expose`](Self::expose) is the only way to it.
#[derive(Clone, Default)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes it as it stands.
    #[must_use]
    pub fn new(key: impl Into<Box<str>>) -> Self {
        Self(key.into())
    }

    /// Returns the key itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is the key, compared in constant time for keys of the same length.
    #[must_use]
    pub fn matches(&self, key: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(key).into()
    }

    /// Whether it has no character.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
