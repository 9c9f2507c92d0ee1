//! The targets of `nodepass-api`.

mod url;

pub use url::nodepass_url;
