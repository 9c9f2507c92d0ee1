//! The targets of `nodepass-api`.

mod client;
mod url;

pub use client::nodepass_client;
pub use url::nodepass_url;
