//! Updates: which manifest of a round to follow, whether it is sound, where it would be installed, and whether the
//! download is what was promised. §1.
//!
//! Everything here is a pure function or a small value; [`Node`](crate::node::Node) puts them in order and a
//! program carries the steps out.

mod download;
mod installation;
mod layout;
mod manifest;
mod plan;
mod runner;

pub use download::{Download, DownloadError};
pub use installation::{Installation, Restart, RestartPolicy, Step};
pub use layout::{Environment, Layout};
pub use manifest::{Downgrade, ManifestError, ManifestRules, ValidManifest};
pub use plan::Plan;
pub use runner::{StagedUpdate, StagedUpdateError, runner_delay};
