//! Placeholder.
/// Placeholder.
pub fn ithiltir_dash(_data: &[u8]) {}
