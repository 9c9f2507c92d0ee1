//! The chores of the workspace, behind `cargo xtask`: what CI runs, the vectors and captures of the original
//! programs against the crates, the peers of `examples/interop`, hostile peers, users of the packages, the scoreboard, the
//! fuzz targets.

pub mod attack;
pub mod ci;
pub mod conformance;
pub mod fuzz;
pub mod interop;
mod json;
mod names;
pub mod process;
pub mod replay;
mod tally;
mod teeth;
pub mod users;

pub use tally::{Deviation, Tally};

use std::path::{Path, PathBuf};

/// Returns the root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map_or_else(PathBuf::new, Path::to_path_buf)
}
