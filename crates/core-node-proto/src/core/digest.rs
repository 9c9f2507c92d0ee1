//! What Core keeps in the place of keys, codes and batches: their SHA-256 digests.

use crate::Secret;
use crate::value::{ValueError, as_text};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq as _;

/// Declares a digest, whose text is 64 hexadecimal digits.
macro_rules! digest {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        ///
        /// It is stored as 64 hexadecimal digits; `Debug` does not show them.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Returns the digest.
            #[must_use]
            pub const fn get(&self) -> &[u8; 32] {
                &self.0
            }

            /// Takes a digest that was stored.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        impl FromStr for $name {
            type Err = ValueError;

            /// Reads 64 hexadecimal digits.
            ///
            /// # Errors
            /// [`ValueError::NotADigest`].
            fn from_str(text: &str) -> Result<Self, ValueError> {
                read(text).map(Self).ok_or(ValueError::NotADigest)
            }
        }

        as_text! { $name by str::parse::<$name>; }
    };
}

digest! {
    /// The digest of a node's auth key.
    KeyDigest
}
digest! {
    /// The digest of a registration code.
    CodeDigest
}
digest! {
    /// The digest of a batch of usage, whatever the order of its entries. §9.4.
    BatchDigest
}

impl KeyDigest {
    /// Returns the digest of a key.
    #[must_use]
    pub fn of(key: &Secret) -> Self {
        Self(Sha256::digest(key.expose()).into())
    }

    /// Whether both are the same, in constant time.
    pub(super) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl CodeDigest {
    /// Returns the digest of a code.
    #[must_use]
    pub fn of(code: &Secret) -> Self {
        Self(Sha256::digest(code.expose()).into())
    }
}

impl BatchDigest {
    pub(super) fn of(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

/// Writes bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn read(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_stored_as_hexadecimal_digits_and_never_shown() {
        let digest = KeyDigest::of(&Secret::new("key-node-1"));
        let text = digest.to_string();
        assert_eq!((text.len(), text.parse()), (64, Ok(digest)));
        assert_eq!(format!("{digest:?}"), "KeyDigest(…)");
        assert!(digest.matches(&digest) && !digest.matches(&KeyDigest::of(&Secret::new("key-node-2"))));
    }

    #[test]
    fn other_texts_are_no_digests() {
        for text in [String::new(), "0".repeat(63), "0".repeat(65), "g".repeat(64), "é".repeat(32)] {
            assert_eq!(text.parse::<CodeDigest>(), Err(ValueError::NotADigest), "{text}");
        }
    }
}
