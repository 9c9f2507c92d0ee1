//! Calls as HTTP requests, for both sides, without any transport. §2.2, §4, §11.4.
//!
//! ```text
//! agent: Call ── request ──▶ http::Request ═══════▶ read_request ──▶ Incoming ── decode ──▶ Call
//!        Reply or Failure ◀── read_response ◀══════ http::Response ◀── response ◀── Reply or Refusal
//! ```
//!
//! | refusal | status | body |
//! | --- | --- | --- |
//! | [`Refusal::Unauthorized`] | 401 | `{"message":"Unauthorized","statusCode":401}` |
//! | [`Refusal::Invalid`] | 400 | `{"message":"entries[0].userId is missing","error":"Bad Request","statusCode":400}` |
//! | [`Refusal::TooLarge`] | 413 | `{"message":"request entity too large","error":"Payload Too Large","statusCode":413}` |
//! | [`Refusal::Unavailable`] | 503 | `{"message":"Service Unavailable","statusCode":503}` |
//! | [`Refusal::Unknown`] | 404 | `{"message":"Not Found","statusCode":404}` |
//!
//! Bodies are those of [`message`](crate::message) and [`config`](crate::config). Requests carry absolute addresses; a
//! client must not follow redirects, so that the key never reaches another host (§4.11).

mod base;

pub use crate::key_header::KEY_HEADER;
pub use base::{Base, BaseError};

use crate::call::{Body, Call, ConfigReply, Failure, FailureKind, Incoming, Refusal, Reply};
use crate::config::NodeConfig;
use crate::message::{
    Acknowledgement, ConfigApplied, ErrorBody, FieldError, Heartbeat, HeartbeatReply, HttpBody, NodeError,
    OutboundUsage, Register, Registered, SessionEvents, Usage,
};
use crate::value::ValueError;
use crate::{Method, Secret, key_header};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use std::sync::Arc;

/// Turns a call into a request. The key goes into [`KEY_HEADER`], marked as sensitive.
///
/// # Errors
/// The first field that a reader would refuse; `authKey` for a key that is none; with an empty path for a call that has no
/// HTTP route.
pub fn request(base: &Base, call: &Call, key: Option<&Secret>) -> Result<Request<Bytes>, FieldError> {
    let (method, route) = call.method().http_route().ok_or_else(other_transport)?;
    let mut request = Request::new(encode(call)?.into());
    *request.method_mut() = method.parse().expect("routes have methods of HTTP");
    *request.uri_mut() = base.uri(route);
    if method == "POST" {
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(key) = key {
        let value = key_header::write(key).ok_or_else(|| FieldError::new("authKey", ValueError::NotAKey))?;
        request.headers_mut().insert(KEY_HEADER, value);
    }
    Ok(request)
}

fn other_transport() -> FieldError {
    FieldError::of_message(ValueError::OtherTransport)
}

/// Writes what a call says; nothing for one without a body.
fn encode(call: &Call) -> Result<Vec<u8>, FieldError> {
    match call {
        Call::Register(register) => register.to_json(),
        Call::Heartbeat(heartbeat) => heartbeat.to_json(),
        Call::ReportUsage(usage) => usage.to_json(),
        Call::ReportOutboundUsage(usage) => usage.to_json(),
        Call::ReportSessionEvents(events) => events.to_json(),
        Call::GetLatestConfig => Ok(Vec::new()),
        Call::ConfirmConfigApplied(applied) => applied.to_json(),
        Call::ReportError(error) => error.to_json(),
        Call::ReportNodeStats(_) | Call::ReportOnlineUsers(_) => Err(other_transport()),
    }
}

/// Reads what Core answered to a method. Every 2xx is a success; a reply with `ok: false` is none that acknowledges, see
/// [`Reply::is_ok`].
///
/// # Errors
/// Another status, a body that cannot be read, or a configuration that cannot be taken.
pub fn read_response(method: Method, response: &Response<Bytes>) -> Result<Reply, Failure> {
    let status = response.status();
    if !status.is_success() {
        return Err(Failure::answered(FailureKind::Http(status.as_u16())));
    }
    let body = response.body();
    let reply = match method {
        Method::Register => Registered::from_json(body).map(Reply::Registered),
        Method::Heartbeat => HeartbeatReply::from_json(body).map(Reply::Heartbeat),
        Method::GetLatestConfig => return read_config(body),
        _ => Acknowledgement::from_json(body).map(Reply::Acknowledged),
    };
    reply.map_err(|error| Failure::answered(FailureKind::Unreadable(error)))
}

fn read_config(body: &[u8]) -> Result<Reply, Failure> {
    let read = NodeConfig::from_json(body);
    let read = read.map_err(|error| Failure::answered(FailureKind::Config(error)))?;
    Ok(Reply::Config(ConfigReply { config: Arc::new(read.config), warnings: read.warnings }))
}

/// Takes a request as it comes in, its body unread. Of its address only the path counts, and no query.
///
/// # Errors
/// [`Refusal::Unknown`] if there is no such route.
pub fn read_request(request: Request<Bytes>) -> Result<Incoming, Refusal> {
    let (parts, body) = request.into_parts();
    let method = Method::from_http_route(parts.method.as_str(), parts.uri.path()).ok_or(Refusal::Unknown)?;
    Ok(Incoming { method, credential: key_header::read(&parts.headers), body: Body::Json(body) })
}

/// Reads the body of a request. A request for the configuration has none, whatever it carries.
///
/// # Errors
/// The first field that breaks a rule; with an empty path for what is no JSON object, and for a method that HTTP does not
/// have.
pub fn decode(method: Method, body: &[u8]) -> Result<Call, FieldError> {
    match method {
        Method::Register => Register::from_json(body).map(Call::Register),
        Method::Heartbeat => Heartbeat::from_json(body).map(Call::Heartbeat),
        Method::ReportUsage => Usage::from_json(body).map(Call::ReportUsage),
        Method::ReportOutboundUsage => OutboundUsage::from_json(body).map(Call::ReportOutboundUsage),
        Method::ReportSessionEvents => SessionEvents::from_json(body).map(Call::ReportSessionEvents),
        Method::GetLatestConfig => Ok(Call::GetLatestConfig),
        Method::ConfirmConfigApplied => ConfigApplied::from_json(body).map(Call::ConfirmConfigApplied),
        Method::ReportError => NodeError::from_json(body).map(Call::ReportError),
        Method::ReportNodeStats | Method::ReportOnlineUsers => Err(other_transport()),
    }
}

/// Returns the response to a call: 201 to a `POST` and 200 to a `GET` with the reply, or a [`refusal`]. A reply that breaks
/// a rule of its own, as a key that is none, is a 500.
#[must_use]
pub fn response(method: Method, outcome: &Result<Reply, Refusal>) -> Response<Bytes> {
    let reply = match outcome {
        Ok(reply) => reply,
        Err(refused) => return refusal(refused),
    };
    let body = match reply {
        Reply::Registered(reply) => reply.to_json().map(Bytes::from),
        Reply::Heartbeat(reply) => reply.to_json().map(Bytes::from),
        Reply::Config(reply) => Ok(reply.config.json_body()),
        Reply::Acknowledged(reply) => reply.to_json().map(Bytes::from),
    };
    let is_get = method.http_route().is_some_and(|(method, _)| method == "GET");
    match body {
        Ok(body) => json(if is_get { StatusCode::OK } else { StatusCode::CREATED }, body),
        Err(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error".to_owned(), None),
    }
}

/// Returns the response to a call that Core does not take, of a known route or of none.
#[must_use]
pub fn refusal(refusal: &Refusal) -> Response<Bytes> {
    match refusal {
        Refusal::Unauthorized => error(StatusCode::UNAUTHORIZED, "Unauthorized".to_owned(), None),
        Refusal::Invalid(field) => error(StatusCode::BAD_REQUEST, field.to_string(), Some("Bad Request")),
        Refusal::TooLarge => {
            let message = "request entity too large".to_owned();
            error(StatusCode::PAYLOAD_TOO_LARGE, message, Some("Payload Too Large"))
        }
        Refusal::Unavailable => {
            error(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable".to_owned(), None)
        }
        Refusal::Unknown => error(StatusCode::NOT_FOUND, "Not Found".to_owned(), None),
    }
}

fn error(status: StatusCode, message: String, error: Option<&str>) -> Response<Bytes> {
    let body =
        ErrorBody { status_code: status.as_u16(), error: error.map(str::to_owned), messages: vec![message] };
    json(status, body.to_json())
}

fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
