//! Every recorded message is decoded and encoded again.

use super::capture::{Body, Exchange};
use crate::Tally;
use crate::names::{self, NAME_CASE};
use ithiltir_proto::wire::{
    ErrorBody, IdentityResponse, IgnoredResponse, MetricsResponse, NodeReport, RESPONSE_LIMIT, Static,
    decode, encode,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// What the functions below need of a message.
trait Message: DeserializeOwned + Serialize + PartialEq + fmt::Debug {}
impl<T: DeserializeOwned + Serialize + PartialEq + fmt::Debug> Message for T {}

pub(super) fn check(key: &str, exchange: &Exchange, tally: &mut Tally) {
    if let Some(body) = body(&exchange.request_body, tally) {
        request(&format!("{key} request"), exchange, body, tally);
    }
    if let Some(body) = body(&exchange.response_body, tally) {
        response(&format!("{key} answer"), exchange, body, tally);
    }
}

fn body<'a>(body: &'a Body, tally: &mut Tally) -> Option<&'a [u8]> {
    match body {
        Body::Whole(body) => return Some(body),
        Body::Shortened => tally.skip("shortened-body", "only the length of the body was recorded"),
        Body::Unclean => tally.skip("unclean-body", "the body held bytes that are no text"),
    }
    None
}

fn request(key: &str, exchange: &Exchange, body: &[u8], tally: &mut Tally) {
    let from_node = exchange.peer.starts_with("node ");
    match exchange.route() {
        "identity" if from_node => tally.check(key, &"{}", &&*String::from_utf8_lossy(body)),
        _ if exchange.method != "POST" => {}
        "identity" | "upgrade" => {} // any body will do there
        "static" if from_node => original::<Static>(key, body, tally),
        _ if from_node => original::<NodeReport>(key, body, tally), // also where a redirect led to
        "static" => probe::<Static>(key, exchange, body, tally),
        "metrics" => probe::<NodeReport>(key, exchange, body, tally),
        _ => {}
    }
}

/// What the original wrote comes back byte for byte.
fn original<T: Message>(key: &str, body: &[u8], tally: &mut Tally) {
    match decode::<T>(body) {
        Ok(message) => {
            let (expected, got) = (String::from_utf8_lossy(body), encode(&message));
            tally.check(key, &&*expected, &&*String::from_utf8_lossy(&got));
        }
        Err(error) => tally.fail(key, "a message", error),
    }
}

/// What the prober wrote is taken where the original's Dash took it.
fn probe<T: Message>(key: &str, exchange: &Exchange, body: &[u8], tally: &mut Tally) {
    let was_read = !matches!(exchange.status, 404 | 405 | 415 | 429)
        && exchange.request_header("x-node-secret").is_some_and(|secret| !secret.is_empty());
    if !was_read {
        return tally.skip("unread-body", "the original answered before it read the body");
    }
    let taken = !matches!(exchange.status, 400 | 413);
    let decoded = decode::<T>(body);
    if names::matter_in_case(body, |body| decode::<T>(body).ok()) {
        return tally.deviate(NAME_CASE);
    }
    match decoded {
        Ok(message) if taken => {
            let again = decode::<T>(&encode(&message));
            tally.check(key, &Ok(message), &again);
        }
        Err(_) if !taken => tally.pass(),
        Ok(_) => tally.fail(key, format_args!("a refusal as by status {}", exchange.status), "a message"),
        Err(error) => tally.fail(key, format_args!("a message as by status {}", exchange.status), error),
    }
}

fn response(key: &str, exchange: &Exchange, body: &[u8], tally: &mut Tally) {
    let from_dash = exchange.peer.contains("-> Dash");
    match (exchange.status, exchange.route()) {
        _ if exchange.method == "HEAD" => {}
        (200, "metrics") if exchange.peer.ends_with("local mode") => {
            original::<NodeReport>(key, body.trim_ascii_end(), tally);
        }
        (200, "metrics") => metrics_answer(key, exchange, body, tally),
        (200, "identity") => identity_answer(key, body, tally),
        (200, "static") if from_dash => tally.check(key, &&b"ok"[..], &body),
        (400.., _) if from_dash => same_value::<ErrorBody>(key, body, tally),
        _ => {} // nobody reads it
    }
}

fn metrics_answer(key: &str, exchange: &Exchange, body: &[u8], tally: &mut Tally) {
    let content_type = exchange.response_header("content-type");
    let decoded = MetricsResponse::decode(content_type, body, RESPONSE_LIMIT);
    let document = serde_json::from_slice::<Value>(body).ok().and_then(complete_answer);
    match (decoded, document) {
        (Err(IgnoredResponse::MediaType), _) => tally.check(key, &None, &content_type),
        (Err(IgnoredResponse::Empty), _) => {
            tally.check(key, &true, &matches!(body.trim_ascii(), b"" | b"ok"));
        }
        (Err(_), None) => tally.pass(),
        (Err(error), Some(document)) => tally.fail(key, document, error),
        (Ok(answer), document) => tally.check(key, &document, &serde_json::to_value(answer).ok()),
    }
}

/// Returns the document with every member that an answer has, or nothing if it is no answer.
fn complete_answer(mut document: Value) -> Option<Value> {
    let answer = document.as_object_mut()?;
    let update = answer.entry("update").or_insert(Value::Null);
    if let Some(manifest) = update.as_object_mut() {
        let texts = ["id", "version", "url", "sha256"];
        texts.iter().for_each(|member| _ = manifest.entry(*member).or_insert("".into()));
        manifest.entry("size").or_insert(0.into()).as_i64()?;
    } else if !update.is_null() {
        return None;
    }
    Some(document)
}

fn identity_answer(key: &str, body: &[u8], tally: &mut Tally) {
    let mut documents = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    let document = documents.next().and_then(Result::ok).unwrap_or_default();
    let install_id = document["install_id"].as_str().map(str::trim).filter(|id| !id.is_empty());
    let decoded = IdentityResponse::decode(body).ok();
    let expected = install_id.map(|id| (id, document["created"].as_bool().unwrap_or_default()));
    tally.check(key, &expected, &decoded.as_ref().map(|answer| (&*answer.install_id, answer.created)));
}

fn same_value<T: Message>(key: &str, body: &[u8], tally: &mut Tally) {
    let expected = serde_json::from_slice::<Value>(body).ok();
    let got = decode::<T>(body).ok().and_then(|message| serde_json::to_value(message).ok());
    tally.check(key, &expected, &got);
}
