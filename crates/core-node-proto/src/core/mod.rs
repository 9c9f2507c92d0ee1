//! Core's side: the state machine and what belongs to it.

#[cfg_attr(not(test), expect(dead_code, reason = "Core is yet to own it"))]
pub mod enrichment;
