//! Bodies: read as what their route says, and written again.

use super::row::Row;
use crate::Tally;
use nodepass_api::Release;
use nodepass_api::wire::{
    self, CreateInstance, ErrorBody, Info, Instance, MasterAlias, PatchInstance, PutInstance, TcpingResult,
    encode,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(super) fn check(key: &str, row: &Row, tally: &mut Tally) {
    request(&format!("{key} request"), row, tally);
    response(&format!("{key} response"), row, tally);
}

/// A body is read as the master reads it; one that cannot be read was refused, or taken without a word.
fn request(key: &str, row: &Row, tally: &mut Tally) {
    let Some(body) = row.request.as_deref() else { return };
    let version = row.peer.split(' ').next_back().and_then(|version| version.parse().ok());
    let release = version.unwrap_or(Release::V1_14_0);
    let is_instance = row.path.contains("/instances/");
    let read = match row.method.as_str() {
        "POST" if row.route() == "info" => written(MasterAlias::read(body.as_bytes())),
        "POST" if row.route() == "instances" => written(CreateInstance::read(body.as_bytes(), release)),
        "PUT" if is_instance => written(PutInstance::read(body.as_bytes())),
        "PATCH" if is_instance => written(PatchInstance::read(body.as_bytes(), release)),
        _ => return tally.skip("no-body", "the route takes no body with this method"),
    };
    let is_silent = row.method == "PATCH";
    match (read, serde_json::from_str::<Value>(body)) {
        (Some(read), Ok(body)) => match contains(&body, &read) {
            true => tally.pass(),
            false => tally.fail(key, body, read),
        },
        (Some(read), Err(_)) => tally.fail(key, "a body that cannot be read", read),
        (None, _) if row.status >= 400 || is_silent => tally.pass(),
        (None, _) => tally.fail(key, body, "it cannot be read"),
    }
}

fn written<T: Serialize, E>(read: Result<T, E>) -> Option<Value> {
    read.ok().and_then(|body| serde_json::to_value(body).ok())
}

/// Whether all that was read stands in the body, whose other members mean nothing there.
fn contains(body: &Value, read: &Value) -> bool {
    match (body, read) {
        (Value::Object(body), Value::Object(read)) => {
            read.iter().all(|(name, read)| body.get(name).is_some_and(|body| contains(body, read)))
        }
        (body, read) => body == read,
    }
}

fn response(key: &str, row: &Row, tally: &mut Tally) {
    if row.is_cut {
        return tally.skip("shortened", "only the beginning of the body was recorded");
    }
    if !row.has_json() {
        return match row.response.is_empty() || row.status >= 400 {
            true => tally.pass(),
            false => tally.fail(key, "a body of a known type", format_args!("{:?}", row.media_type)),
        };
    }
    let body = row.response.as_bytes();
    let again = match row.route() {
        _ if row.status >= 400 => again::<ErrorBody>(body),
        "info" => again::<Info>(body),
        "tcping" => again::<TcpingResult>(body),
        "instances" if row.method == "GET" => again::<Vec<Instance>>(body),
        _ => again::<Instance>(body),
    };
    match (again, serde_json::from_slice::<Value>(body)) {
        (Some(again), Ok(body)) => tally.check(key, &body, &again),
        _ => tally.fail(key, &row.response, "it cannot be read"),
    }
}

fn again<T: DeserializeOwned + Serialize>(body: &[u8]) -> Option<Value> {
    let object: T = wire::decode(body).ok()?;
    serde_json::from_slice(&encode(&object)).ok()
}
