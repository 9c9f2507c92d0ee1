//! The targets of `core-node-proto`.

mod agent;
#[path = "../../../crates/core-node-proto/tests/agent_support/world.rs"]
mod agent_world;
mod config;
mod server;
mod value;
mod wire;

pub use agent::core_agent;
pub use config::core_config;
pub use server::core_server;
pub use value::core_value;
pub use wire::core_wire;

use bytes::Bytes;
use core_node_proto::call::{Body, Call, KeyPlacement, Reply};
use core_node_proto::http::Base;
use core_node_proto::message::{FieldError, MtProtoStatuses};
use core_node_proto::{Method, Secret, grpc, http};

/// Returns what arrives of a call over gRPC; `None` if it has no method there.
fn over_grpc(call: &Call, key: Option<&Secret>) -> Option<(Call, Option<Secret>)> {
    let request = grpc::request(call, key, KeyPlacement::Field)?;
    let message = grpc::unframe(grpc::frame(&request.message), request.message.len());
    let message = message.expect("rule: what is framed can be taken out");
    let incoming = grpc::read_request(request.path, &::http::HeaderMap::new(), message);
    let incoming = incoming.expect("rule: a path that is written is known");
    assert_eq!(incoming.method, call.method(), "rule: a call arrives as itself");
    let Body::Protobuf(message) = incoming.body else { panic!("rule: gRPC carries protobuf") };
    Some(grpc::decode(call.method(), &message).expect("rule: what is written can be read"))
}

/// Returns what arrives of a call over HTTP.
fn over_http(call: &Call, key: Option<&Secret>) -> Result<Call, FieldError> {
    let base = Base::parse("https://core.example/api").expect("it is an address");
    let mut request = http::request(&base, call, key)?;
    let path = request.uri().path().strip_prefix("/api").expect("rule: the path of the address stays");
    *request.uri_mut() = path.parse().expect("it is a path");
    let incoming = http::read_request(request).expect("rule: a route that is written is known");
    assert_eq!(incoming.method, call.method(), "rule: a call arrives as itself");
    let Body::Json(body) = incoming.body else { panic!("rule: HTTP carries JSON") };
    Ok(http::decode(call.method(), &body).expect("rule: what is written can be read"))
}

/// Returns a call without what does not travel.
fn travelling(call: &Call) -> Call {
    let mut call = call.clone();
    match &mut call {
        Call::ReportNodeStats(stats) => {
            stats.mtproto.get_or_insert_with(MtProtoStatuses::new);
        }
        Call::ReportOnlineUsers(online) => online.unreadable = 0,
        _ => {}
    }
    call
}

/// Both ways carry a call unchanged, or HTTP says why it does not.
fn calls_come_back(call: &Call, key: Option<&Secret>) {
    let call = travelling(call);
    if let Some((read, field)) = over_grpc(&call, key) {
        assert_eq!(read, call, "rule: gRPC carries a call unchanged");
        assert_eq!(field.as_ref(), key.filter(|key| !key.is_empty()), "rule: gRPC carries the key");
    }
    if let Ok(read) = over_http(&call, key) {
        assert_eq!(read, call, "rule: HTTP carries a call unchanged");
    }
}

/// Both ways carry a reply unchanged.
fn replies_come_back(method: Method, reply: &Reply) {
    let mut reply = reply.clone();
    if let Reply::Config(config) = &mut reply {
        let keys = config.config.client_map().keys_not_ids();
        config.warnings.retain(|warning| keys > 0 && warning.count() == keys && is_about_keys(warning));
    }
    if method.grpc_path().is_some() {
        let read = grpc::read_reply(method, &grpc::reply(method, &reply));
        assert_eq!(read.as_ref(), Ok(&reply), "rule: gRPC carries a reply unchanged");
    }
    let is_written = !matches!(&reply, Reply::Registered(registered) if registered.check().is_err());
    if method.http_route().is_some() && is_written {
        let response: ::http::Response<Bytes> = http::response(method, &Ok(reply.clone()));
        let read = http::read_response(method, &response);
        assert_eq!(read.as_ref(), Ok(&reply), "rule: HTTP carries a reply unchanged");
    }
}

fn is_about_keys(warning: &core_node_proto::config::Warning) -> bool {
    matches!(warning, core_node_proto::config::Warning::KeysNotIds { .. })
}
