//! Drivers and parts of the programs for `ithiltir-proto`: transport and file system, no policy.

pub mod client;
pub mod dash_driver;
pub mod host;
pub mod install_driver;
pub mod installer;
pub mod node_driver;
pub mod probe;
pub mod report_file;

/// Sleeps until the deadline, or for ever.
pub(crate) async fn sleep_until(deadline: Option<web_time::Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
