//! The targets of `nodered-comms`.

mod client;
mod maker;
mod runtime;
mod topics;
mod value;
mod wire;

pub use client::nodered_client;
pub use runtime::nodered_runtime;
pub use topics::nodered_topics;
pub use value::nodered_value;
pub use wire::nodered_wire;

use testkit::secrets::find_secret;

/// Whether the input itself holds the mark of secrets, so that its texts may.
fn holds_mark(data: &[u8]) -> bool {
    find_secret(&String::from_utf8_lossy(data)).is_some()
}
