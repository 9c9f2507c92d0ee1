//! Client and server stubs for `tonic`, which carry the messages of [`pb`](crate::pb).

#[rustfmt::skip]
#[expect(unused_qualifications, reason = "generated")]
#[path = "../generated/nodeservice_stubs.rs"]
mod generated;

pub use generated::{node_service_client, node_service_server};
