//! Keys from entropy that is passed in.

use crate::Secret;
use sha2::{Digest, Sha256};
use std::fmt;

/// A source of unpredictable bytes, drawn from 32 that the application has from its system's generator: SHA-256 over
/// them and a counter. The same seed gives the same keys, which is what tests want and nobody else: a Core that starts
/// anew needs another one.
#[derive(Clone)]
pub struct Entropy {
    seed: [u8; 32],
    drawn: u64,
}

impl Entropy {
    /// Takes 32 random bytes.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Makes an auth key: 64 hexadecimal digits.
    pub(super) fn auth_key(&mut self) -> Secret {
        self.drawn += 1;
        let block = Sha256::new().chain_update(self.seed).chain_update(self.drawn.to_be_bytes()).finalize();
        Secret::new(super::digest::hex(&block))
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(…)")
    }
}
