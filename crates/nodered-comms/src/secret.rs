//! Tokens and passwords that never show.

use std::fmt;
use subtle::ConstantTimeEq;

/// A token or a password. `Debug` hides it, comparison takes constant time; [`expose`](Self::expose) is the only way to
/// it.
#[derive(Clone, Default)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes it as it stands.
    #[must_use]
    pub fn new(secret: impl Into<Box<str>>) -> Self {
        Self(secret.into())
    }

    /// Returns the secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is the secret, compared in constant time for secrets of the same length.
    #[must_use]
    pub fn matches(&self, secret: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(secret).into()
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
