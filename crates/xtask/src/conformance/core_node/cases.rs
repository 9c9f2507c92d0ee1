//! The section `core`: calls to a Core, what it answers, and how it is afterwards.

use super::expect::holds;
use super::world::World;
use super::{protobuf, text};
use crate::Tally;
use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use core_node_proto::call::{GrpcCode, Reply};
use core_node_proto::{Method, grpc, http};
use serde_json::{Value, json};

/// What was expected, and what was there instead.
struct Difference {
    expected: String,
    got: String,
}

/// Runs a case on a Core of its own.
pub(super) fn case(row: &Value, fixture: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let key = text(row, "id")?;
    match run(row, fixture).with_context(|| format!("case {key}"))? {
        Some(difference) => tally.fail(key, difference.expected, difference.got),
        None => tally.pass(),
    }
    Ok(())
}

fn run(row: &Value, fixture: &Value) -> anyhow::Result<Option<Difference>> {
    let mut fixture = fixture.clone();
    for (name, value) in row["given"].as_object().into_iter().flatten() {
        fixture[name] = value.clone();
    }
    let mut world = World::new(&fixture)?;
    for step in row["steps"].as_array().ok_or_else(|| anyhow!("no steps"))? {
        if let Some(difference) = self::step(step, &mut world)? {
            return Ok(Some(difference));
        }
    }
    let (expected, got) = (&row["state"], world.state()?);
    Ok((!expected.is_null() && !holds(expected, &got)).then(|| difference("state", expected, &got)))
}

fn step(step: &Value, world: &mut World) -> anyhow::Result<Option<Difference>> {
    let expect = &step["expect"];
    if !step["http"].is_null() {
        over_http(&step["http"], expect, world)
    } else if !step["grpc"].is_null() {
        over_grpc(&step["grpc"], expect, world)
    } else if let Some(milliseconds) = step["control"]["advanceMs"].as_u64() {
        world.advance(milliseconds);
        Ok(None)
    } else if step["control"]["publish"] == json!(true) {
        world.publish()?;
        Ok(None)
    } else {
        bail!("a step of an unknown kind")
    }
}

fn over_http(call: &Value, expect: &Value, world: &mut World) -> anyhow::Result<Option<Difference>> {
    let mut request = ::http::Request::builder().method(text(call, "method")?).uri(text(call, "path")?);
    for (name, value) in call["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().context("a header that is no text")?);
    }
    let body = match (&call["rawBody"], &call["body"]) {
        (Value::String(body), _) => body.clone(),
        (_, Value::Null) => String::new(),
        (_, body) => body.to_string(),
    };
    let method = Method::from_http_route(text(call, "method")?, text(call, "path")?);
    let response = match http::read_request(request.body(Bytes::from(body))?) {
        Err(refusal) => http::refusal(&refusal),
        Ok(incoming) => http::response(method.context("a call without a method")?, &world.call(incoming)?),
    };
    let status = response.status();
    let is_expected = match &expect["status"] {
        Value::String(status_class) => status_class == "2xx" && status.is_success(),
        number => *number == json!(status.as_u16()),
    };
    if !is_expected {
        return Ok(Some(difference("status", &expect["status"], &json!(status.as_u16()))));
    }
    let body = serde_json::from_slice(response.body()).context("a response that is not JSON")?;
    Ok((!expect["body"].is_null() && !holds(&expect["body"], &body))
        .then(|| difference("body", &expect["body"], &body)))
}

fn over_grpc(call: &Value, expect: &Value, world: &mut World) -> anyhow::Result<Option<Difference>> {
    let method = text(call, "method")?;
    let message = match &call["rawHex"] {
        Value::String(hex) => bytes(hex)?,
        _ => protobuf::request(method, &call["message"])?,
    };
    let mut metadata = ::http::HeaderMap::new();
    for pair in call["metadata"].as_array().into_iter().flatten() {
        let name: ::http::HeaderName = pair[0].as_str().context("metadata without a name")?.parse()?;
        metadata.append(name, pair[1].as_str().context("metadata without a value")?.parse()?);
    }
    let path = format!("/nodeservice.NodeService/{method}");
    let outcome = match grpc::read_request(&path, &metadata, message.into()) {
        Err(refusal) => Err(refusal),
        Ok(incoming) => world.call(incoming)?,
    };
    let code = outcome.as_ref().map_or_else(|refusal| grpc::status(refusal).0, |_| GrpcCode::Ok);
    let code = json!(name(code));
    let is_expected = expect["code"].as_array().map_or(expect["code"] == code, |codes| codes.contains(&code));
    if !is_expected {
        return Ok(Some(difference("code", &expect["code"], &code)));
    }
    let Ok(reply) = outcome else { return Ok(None) };
    let method = Method::from_grpc_path(&path).context("a reply without a method")?;
    check_reply(method, &reply, expect)
}

/// Compares a reply as it is read at the other end.
fn check_reply(method: Method, reply: &Reply, expect: &Value) -> anyhow::Result<Option<Difference>> {
    let read = grpc::read_reply(method, &grpc::reply(method, reply));
    let (message, texts) = match read.map_err(|failure| anyhow!("an unreadable reply: {}", failure.kind))? {
        Reply::Heartbeat(reply) => (json!({ "ok": reply.ok, "needSync": reply.need_sync }), Value::Null),
        Reply::Acknowledged(reply) => (json!({ "ok": reply.ok }), Value::Null),
        Reply::Config(reply) => {
            let texts = reply.config.to_texts();
            let json = |text: &str| serde_json::from_str::<Value>(text);
            let parts = json!({
                "clientMapJson": json(&texts.client_map_json)?,
                "mtprotoClientMapJson": json(&texts.mtproto_client_map_json)?,
                "servicesJson": json(&texts.services_json)?,
            });
            (json!({ "revision": reply.config.revision() }), parts)
        }
        Reply::Registered(_) => bail!("a registration over gRPC"),
    };
    for (part, got) in [("message", message), ("json", texts)] {
        let expected = &expect[part];
        if !expected.is_null() && !holds(expected, &got) {
            return Ok(Some(difference(part, expected, &got)));
        }
    }
    Ok(None)
}

fn difference(part: &str, expected: &Value, got: &Value) -> Difference {
    Difference { expected: format!("{part} {expected}"), got: got.to_string() }
}

/// Returns the name of a code as gRPC has it: `InvalidArgument` is `INVALID_ARGUMENT`.
fn name(code: GrpcCode) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn bytes(hex: &str) -> anyhow::Result<Vec<u8>> {
    let pairs = (0..hex.len()).step_by(2).map(|start| hex.get(start..start + 2));
    pairs.map(|pair| Ok(u8::from_str_radix(pair.context("half a byte")?, 16)?)).collect()
}
