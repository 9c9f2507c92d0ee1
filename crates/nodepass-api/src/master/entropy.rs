//! Ids and keys from entropy that is passed in. §7.

use sha2::{Digest, Sha256};
use std::fmt;

/// A source of unpredictable bytes, drawn from 32 that the application has from its system's generator: SHA-256 over them
/// and a counter. The same seed gives the same ids and keys, which is what tests want and nobody else.
#[derive(Clone)]
pub struct Entropy {
    seed: [u8; 32],
    drawn: u64,
}

impl Entropy {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(super) fn draw<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        self.drawn += 1;
        let block = Sha256::new().chain_update(self.seed).chain_update(self.drawn.to_be_bytes()).finalize();
        std::array::from_fn(|at| block[at])
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(…)")
    }
}
