//! Ithiltir node reports.
#[cfg(feature = "dash")]
pub mod dash;
mod failure;
#[cfg(feature = "node")]
pub mod install;
#[cfg(feature = "node")]
pub mod node;
mod report_config;
mod secret;
mod target;
mod timer;
#[cfg(feature = "node")]
pub mod update;
mod url;
mod version;
pub mod wire;

pub use failure::{
    CertificateProblem, Delivery, ExpiryProbe, Failure, FailureKind, Fallback, ProbeOutcome, verification_time,
};
pub use report_config::{FormatVersion, ReportConfig, ReportConfigError, ReportTarget};
pub use secret::Secret;
pub use target::{SECRET_HEADER, Target, TargetError};
pub use url::{HostKind, Scheme, Url, UrlError};
pub use version::{Version, VersionError};
