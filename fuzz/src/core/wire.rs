//! Any bytes are read as every message and body of both ways; what can be read comes back from being written.

use super::{calls_come_back, replies_come_back};
use bytes::Bytes;
use core_node_proto::http::Base;
use core_node_proto::message::{JsonObject, MtProtoStatuses};
use core_node_proto::value::{Address, NodeId, Timestamp};
use core_node_proto::{GrpcTarget, Method, Secret, grpc, http};

/// The bytes as every call and every reply, over both ways, then as the texts within them.
pub fn core_wire(data: &[u8]) {
    for method in Method::ALL {
        if let Ok((call, key)) = grpc::decode(method, data) {
            calls_come_back(&call, key.as_ref());
        }
        if let Ok(call) = http::decode(method, data) {
            calls_come_back(&call, Some(&Secret::new("k3y")));
        }
        if let Ok(reply) = grpc::read_reply(method, data) {
            replies_come_back(method, &reply);
        }
        let response = ::http::Response::new(Bytes::copy_from_slice(data));
        if let Ok(reply) = http::read_response(method, &response) {
            replies_come_back(method, &reply);
        }
    }
    if let Ok(message) = grpc::unframe(Bytes::copy_from_slice(data), 1000) {
        assert_eq!(grpc::frame(&message), data, "rule: a body is framed in one way");
    }
    texts(&String::from_utf8_lossy(data));
}

fn texts(text: &str) {
    if let Ok(at) = text.parse::<Timestamp>() {
        assert_eq!(at.to_string().parse(), Ok(at), "rule: an instant that is written can be read");
    }
    if let Ok(at) = Timestamp::from_last_seen(text) {
        assert_eq!(Timestamp::from_last_seen(&at.to_string()), Ok(at), "rule: it can be read again");
    }
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(address.to_string().parse(), Ok(address), "rule: an address has one form");
    }
    if let Ok(id) = NodeId::from_text(text) {
        assert_eq!(id.to_string(), text, "rule: an id stays as it is");
    }
    if let Ok(base) = Base::parse(text) {
        assert_eq!(Base::parse(&base.to_string()), Ok(base), "rule: an address that is written can be read");
    }
    for insecure in [None, Some("true")] {
        if let Ok(target) = GrpcTarget::parse(text, insecure) {
            let again = GrpcTarget::parse(&target.to_string(), insecure);
            assert_eq!(again, Ok(target), "rule: a target that is written can be read");
        }
    }
    if let Ok(object) = JsonObject::parse(text) {
        assert_eq!(JsonObject::parse(object.text()), Ok(object), "rule: an object stays as it is");
    }
    if let Ok(statuses) = MtProtoStatuses::from_json(text) {
        let again = MtProtoStatuses::from_json(&statuses.to_json());
        assert_eq!(again, Ok(statuses), "rule: statuses that are written can be read");
    }
}
