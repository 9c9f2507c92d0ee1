//! Where an agent's counters come from: made up ([`Simulated`]), or lines of JSON ([`Lines`]).

mod lines;
mod simulated;

pub use lines::{LineError, Lines, read_line};
pub use simulated::Simulated;
