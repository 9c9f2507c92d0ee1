//! The targets of `nodepass-api`.

mod client;
mod master;
mod url;
mod value;
mod wire;

pub use client::nodepass_client;
pub use master::nodepass_master;
pub use url::nodepass_url;
pub use value::nodepass_value;
pub use wire::nodepass_wire;
