//! Recorded exchanges as calls: what we send, and what their answers mean.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use nodepass_api::Secret;
use nodepass_api::client::{
    ActionProblem, Call, Endpoint, Ignored, KeyProblem, Layout, Reply, RequestError, reply, request,
    stream_request,
};
use nodepass_api::wire::{CreateInstance, InstanceId, MasterAlias, PatchInstance, PutInstance};
use serde_json::Value;

const HTTP: &str = include_str!("captures/http.jsonl");

struct Row {
    peer: String,
    scenario: String,
    method: String,
    path: String,
    body: String,
    key: Secret,
    response: Response<Bytes>,
}

fn rows() -> impl Iterator<Item = Row> {
    HTTP.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let mut response = Response::new(Bytes::from(text("resp_body")));
        *response.status_mut() =
            StatusCode::from_u16(row["status"].as_u64().unwrap().try_into().unwrap()).unwrap();
        Row {
            peer: text("peer"),
            scenario: text("scenario"),
            method: text("method"),
            path: text("path"),
            body: text("req_body"),
            key: Secret::new(row["req_headers"]["X-API-Key"].as_str().unwrap_or_default()),
            response,
        }
    })
}

impl Row {
    /// Returns the endpoint and the call, if a call makes such a request.
    fn call(&self) -> Option<(Endpoint, Call)> {
        let (prefix, route) = self.path.split_once("/v1")?;
        let endpoint = format!("http://127.0.0.1:1{prefix}").parse().unwrap();
        let id = route.strip_prefix("/instances/").map(InstanceId::new);
        let is_rotation = self.body.contains("restart\"}") && route.ends_with("********");
        let call = match (self.method.as_str(), route, id) {
            ("GET", "/instances", _) => Call::List,
            ("POST", "/instances", _) => Call::Create(body::<CreateInstance>(&self.body)?),
            ("GET", _, Some(id)) => Call::Get(id),
            ("PATCH", _, Some(_)) if is_rotation => Call::RotateKey,
            ("PATCH", _, Some(id)) => Call::Patch(id, body::<PatchInstance>(&self.body)?),
            ("PUT", _, Some(id)) => Call::Put(id, body::<PutInstance>(&self.body)?),
            ("DELETE", _, Some(id)) => Call::Delete(id),
            ("GET", "/info", _) => Call::Info,
            ("POST", "/info", _) => Call::SetMasterAlias(body::<MasterAlias>(&self.body)?.alias?),
            ("GET", "/openapi.json", _) => Call::OpenApi,
            ("GET", "/docs", _) => Call::Docs,
            ("GET", route, _) => Call::Tcping(route.strip_prefix("/tcping?target=")?.into()),
            _ => return None,
        };
        Some((endpoint, call))
    }

    fn error(&self) -> RequestError {
        let (_, call) = self.call().unwrap();
        reply(&call, &self.response).unwrap_err()
    }
}

/// Bodies with members that a call does not have, or that are no JSON, are not made by calls.
fn body<T: serde::de::DeserializeOwned + serde::Serialize>(body: &str) -> Option<T> {
    let value: T = serde_json::from_str(body).ok()?;
    let ours: Value = serde_json::to_value(&value).ok()?;
    let is_known = ours
        .as_object()?
        .keys()
        .all(|name| ["url", "alias", "action", "restart", "meta"].contains(&name.as_str()));
    is_known.then_some(value)
}

#[test]
fn requests_are_those_that_were_recorded() {
    let mut count = 0;
    for row in rows() {
        let Some((endpoint, call)) = row.call() else { continue };
        let ours: Request<Bytes> = request(&endpoint.base(Layout::Versioned), &row.key, &call);
        assert_eq!(ours.method().as_str(), row.method, "{call:?}");
        assert_eq!(ours.uri().path_and_query().unwrap().as_str(), row.path, "{call:?}");
        let json = |text: &str| (!text.is_empty()).then(|| serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(json(std::str::from_utf8(ours.body()).unwrap()), json(&row.body), "{call:?}");
        assert_eq!(ours.headers().contains_key("content-type"), !row.body.is_empty());
        if call.needs_key() && !row.key.is_empty() {
            assert_eq!(ours.headers()["x-api-key"], row.key.expose());
            assert!(ours.headers()["x-api-key"].is_sensitive());
        }
        count += 1;
    }
    assert!(count > 320, "{count}");
}

#[test]
fn answers_are_read_as_what_they_were_asked_for() {
    let mut count = 0;
    for row in rows() {
        let Some((_, call)) = row.call() else { continue };
        let (is_success, context) = (row.response.status().is_success(), format!("{} {call:?}", row.peer));
        match (&call, reply(&call, &row.response)) {
            (_, Err(error)) => assert!(!is_success, "{context}: {error}"),
            (Call::List, Ok(Reply::List(list))) => {
                assert_eq!(list.key_record.unwrap().api_key(), Some(row.key), "{context}");
                assert!(list.instances.iter().all(|instance| !instance.id.is_key_record()));
            }
            (
                Call::Create(_) | Call::Get(_) | Call::Patch(..) | Call::Put(..),
                Ok(Reply::Instance { .. }),
            ) => {}
            (Call::Delete(_), Ok(Reply::Deleted)) => {}
            (Call::Info | Call::SetMasterAlias(_), Ok(Reply::Info(info))) => assert!(info.ver.is_some()),
            (Call::Tcping(target), Ok(Reply::Tcping(result))) => assert_eq!(result.target, *target),
            (Call::OpenApi | Call::Docs, Ok(Reply::Document(_))) => {}
            (Call::RotateKey, Ok(Reply::Key(key))) => {
                assert_eq!(
                    key == row.key,
                    row.peer.contains(" rs "),
                    "{context}: only the port keeps its key"
                );
            }
            (_, Ok(other)) => panic!("{context}: {other:?}"),
        }
        count += 1;
    }
    assert!(count > 320, "{count}");
}

#[test]
fn every_recorded_refusal_has_its_type() {
    for row in rows().filter(|row| row.call().is_some() && !row.response.status().is_success()) {
        let (error, peer) = (row.error(), &row.peer);
        let context = format!("{peer} {} {} {}: {error}", row.scenario, row.method, row.path);
        let fits = match row.scenario.as_str() {
            "auth-missing" => error == RequestError::Unauthorized(KeyProblem::Missing),
            "auth-wrong" | "apikey-rotate" => error == RequestError::Unauthorized(KeyProblem::Invalid),
            "unknown-path" | "prefix" => error == RequestError::NotThere,
            "unknown-id" | "delete" => error == RequestError::NotFound,
            "apikey-instance" => matches!(error, RequestError::Forbidden(_)),
            "put" if row.path.contains("deadbeef") => error == RequestError::NotFound,
            "put" => matches!(error, RequestError::Conflict(_) | RequestError::BadRequest(_)),
            "info-post" => error == RequestError::MethodNotAllowed && peer.contains("1.6.0"),
            "create-bad-url" | "create-bad-body" | "patch-action" | "patch-alias-long" | "tcping" => {
                matches!(&error, RequestError::BadRequest(text) if !text.as_str().is_empty())
            }
            _ => false,
        };
        assert!(fits, "{context}");
    }
}

#[test]
fn what_was_ignored_without_a_word_is_found_in_the_recordings() {
    let found = |peer: &str, scenario: &str| -> Vec<Vec<Ignored>> {
        let of = rows().filter(|row| row.peer.contains(peer) && row.scenario == scenario);
        let replies = of.filter_map(|row| reply(&row.call()?.1, &row.response).ok());
        replies
            .filter_map(|reply| match reply {
                Reply::Instance { ignored, .. } => Some(ignored),
                _ => None,
            })
            .collect()
    };
    assert_eq!(found("v1.6.0", "create-alias"), [vec![Ignored::Alias]]);
    assert_eq!(found("v1.14.0", "create-alias"), [vec![]]);
    assert_eq!(found("v1.6.0", "patch-meta"), [vec![Ignored::Meta], vec![]]);
    assert_eq!(found("v1.14.0", "patch-meta"), [vec![], vec![]]);
    let words = found("v1.6.0", "patch-action").concat();
    let problems = [ActionProblem::Stopped, ActionProblem::Unknown].map(Ignored::Action);
    assert_eq!(words, problems, "a second stop, and a word that is no action");
    assert!(
        found("v1.6.0", "lifecycle").concat().is_empty(),
        "the log level that is handed down is none of ours"
    );
    assert!(found("v1.14.0", "put").concat().is_empty());
    let record = found("v1.14.0", "apikey-instance").concat();
    assert_eq!(record, [Ignored::Alias, Ignored::Restart], "the key record takes neither");
    assert_eq!(found("core v2", "tls-master").concat(), []);
}

#[test]
fn the_envelope_of_the_document_is_opened_and_its_refusals_too() {
    let answer =
        |call: &Call, body: &'static str| reply(call, &Response::new(Bytes::from_static(body.as_bytes())));
    let list = answer(&Call::List, r#"{"success":true,"data":[]}"#);
    assert!(matches!(list, Ok(Reply::List(list)) if list.instances.is_empty()));
    for call in [Call::List, Call::Delete(InstanceId::new("a1b2c3d4"))] {
        let refused = answer(&call, r#"{"success":false,"message":"not today"}"#).unwrap_err();
        assert_eq!(refused.to_string(), "refused: not today");
    }
    assert_eq!(answer(&Call::Delete(InstanceId::new("a")), r#"{"success":true}"#), Ok(Reply::Deleted));
    assert!(matches!(answer(&Call::Info, "<html>"), Err(RequestError::Undecodable(_))));
}

#[test]
fn ids_and_targets_cannot_leave_their_place_in_a_url() {
    let base = "http://h:1/api".parse::<Endpoint>().unwrap().base(Layout::Versioned);
    let uri = |call: &Call| request(&base, &Secret::default(), call).uri().to_string();
    let get = |id: &str| uri(&Call::Get(InstanceId::new(id)));
    assert_eq!(get("********"), "http://h:1/api/v1/instances/********");
    assert_eq!(get("../info?x#y"), "http://h:1/api/v1/instances/..%2Finfo%3Fx%23y");
    assert_eq!(get(".."), "http://h:1/api/v1/instances/%2E%2E");
    let tcping = uri(&Call::Tcping("h:1&target=é:2 %".into()));
    assert_eq!(tcping, "http://h:1/api/v1/tcping?target=h:1%26target%3D%C3%A9:2%20%25");
    // Too long for any URL: nothing else is asked in its place.
    assert_eq!(get(&"x".repeat(70_000)), "http://h:1/api/v1");
}

#[test]
fn a_key_is_sent_only_where_it_is_wanted_and_only_if_it_can_be() {
    let base = "http://h:1/api".parse::<Endpoint>().unwrap().base(Layout::Plain);
    let has_key =
        |key: &str, call: &Call| request(&base, &Secret::new(key), call).headers().contains_key("x-api-key");
    assert!(has_key("k", &Call::List) && !has_key("k", &Call::Docs) && !has_key("k", &Call::OpenApi));
    assert!(!has_key("", &Call::List) && !has_key("a\nb", &Call::List) && !has_key("a b", &Call::List));
    let stream = stream_request(&base, &Secret::new("k"));
    assert_eq!(
        (stream.uri().path(), &stream.headers()["accept"]),
        ("/api/events", &"text/event-stream".parse().unwrap())
    );
    assert!(stream.headers()["x-api-key"].is_sensitive());
}
