//! Ithiltir node reports.
mod secret;
mod url;
mod version;
pub mod wire;

pub use secret::Secret;
pub use url::{HostKind, Scheme, Url, UrlError};
pub use version::{Version, VersionError};
