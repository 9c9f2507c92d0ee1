//! The routes of the admin API that a client needs.

use super::{Config, Credentials};
use crate::Secret;
use crate::wire::{Json, JsonRef, Members};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, Response};
use std::time::Duration;

/// How much of an answer is looked at.
const RESPONSE_LIMIT: usize = 64 * 1024;

pub(super) fn discovery_request(config: &Config) -> Request<Bytes> {
    request(config, Method::GET, "auth/login", Bytes::new())
}

pub(super) fn token_request(config: &Config) -> Option<Request<Bytes>> {
    let Credentials::Password { username, password } = &config.credentials else { return None };
    let fields = [
        ("client_id", "node-red-admin"),
        ("grant_type", "password"),
        ("scope", &config.scope),
        ("username", username),
        ("password", password.expose()),
    ];
    let body: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", form_encoded(value))).collect();
    Some(request(config, Method::POST, "auth/token", body.join("&").into()))
}

fn request(config: &Config, method: Method, route: &str, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.uri_mut() = config.endpoint.admin(route).parse().expect("an endpoint makes good URLs");
    request.headers_mut().insert(ACCEPT, http::HeaderValue::from_static("application/json"));
    if method == Method::POST {
        let form = http::HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form);
    }
    *request.method_mut() = method;
    request
}

/// Whether the runtime wants a token; `None` if the answer does not tell.
pub(super) fn wants_token(response: &Response<Bytes>) -> Option<bool> {
    let mut members = body(response).and_then(|json| Some(Members::of(json.as_ref())?.rest()))?;
    members.retain(|(name, _)| matches!(name.as_str(), "type" | "strategy" | "prompts"));
    Some(!members.is_empty())
}

/// Returns the token that was fetched, and how long it is good.
pub(super) fn token(response: &Response<Bytes>) -> Option<(Secret, Option<Duration>)> {
    let json = body(response)?;
    let mut members = Members::of(json.as_ref())?;
    let token = members.text("access_token").filter(|token| !token.is_empty())?;
    let expires_in = members.take("expires_in", JsonRef::as_f64);
    Some((Secret::new(token), expires_in.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())))
}

fn body(response: &Response<Bytes>) -> Option<Json> {
    let body = response.body();
    if !response.status().is_success() || body.len() > RESPONSE_LIMIT {
        return None;
    }
    Json::parse(std::str::from_utf8(body).ok()?).ok()
}

/// As forms are written: letters, digits and `*-._` as they are, a space as `+`, all else in hexadecimal digits.
fn form_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                char::from(byte).to_string()
            }
            b' ' => "+".to_owned(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
