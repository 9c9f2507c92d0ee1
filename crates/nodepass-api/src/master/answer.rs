//! What a master answers. §1, §3.

use crate::wire::encode;
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL,
    CONNECTION, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    KeyMissing,
    KeyWrong,
    Method,
    Body,
    BodyTooLong,
    UrlFormat,
    UrlScheme,
    IdMissing,
    IdTaken,
    NotFound,
    KeyRecord,
    UrlConflict,
    Target,
    TooMany,
}

impl Refusal {
    fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::KeyMissing => (StatusCode::UNAUTHORIZED, "Unauthorized: API key required"),
            Self::KeyWrong => (StatusCode::UNAUTHORIZED, "Unauthorized: Invalid API key"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
            Self::Body => (StatusCode::BAD_REQUEST, "Invalid request body"),
            Self::BodyTooLong => (StatusCode::PAYLOAD_TOO_LARGE, "Request body too large"),
            Self::UrlFormat => (StatusCode::BAD_REQUEST, "Invalid URL format"),
            Self::UrlScheme => (StatusCode::BAD_REQUEST, "Invalid URL scheme"),
            Self::IdMissing => (StatusCode::BAD_REQUEST, "Instance ID is required"),
            Self::IdTaken => (StatusCode::CONFLICT, "Instance ID already exists"),
            Self::NotFound => (StatusCode::NOT_FOUND, "Instance not found"),
            Self::KeyRecord => (StatusCode::FORBIDDEN, "Forbidden: API Key"),
            Self::UrlConflict => (StatusCode::CONFLICT, "Instance URL conflict"),
            Self::Target => (StatusCode::BAD_REQUEST, "Target address required"),
            Self::TooMany => (StatusCode::SERVICE_UNAVAILABLE, "Service unavailable"),
        }
    }
}

/// The answer of a handler: JSON with a line break behind it.
pub(super) fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response<Bytes> {
    let mut body = encode(value);
    body.push(b'\n');
    let mut response = handled(status, body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn refusal(refusal: Refusal) -> Response<Bytes> {
    let (status, text) = refusal.parts();
    error(status, text)
}

/// A refusal in words that depend on the request.
pub(super) fn error(status: StatusCode, text: &str) -> Response<Bytes> {
    let body = crate::wire::ErrorBody { error: text.into(), ..Default::default() };
    json(status, &body)
}

/// The answer of a handler without a body, or with one of another type.
pub(super) fn handled(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let methods = HeaderValue::from_static("GET, PATCH, POST, PUT, DELETE, OPTIONS");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    let names = HeaderValue::from_static("Content-Type, Authorization, X-API-Key, Cache-Control");
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
    response
}

pub(super) fn typed(media_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = handled(StatusCode::OK, body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// The router's answer to a path that there is not.
pub(super) fn no_such_path() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(b"404 page not found\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The router's answer to a path that is not clean.
pub(super) fn redirect(to: &str) -> Response<Bytes> {
    let Ok(location) = HeaderValue::from_str(to) else { return no_such_path() };
    let escaped = to.replace('&', "&amp;").replace('"', "&#34;").replace('<', "&lt;").replace('>', "&gt;");
    let mut response = Response::new(format!("<a href=\"{escaped}\">Temporary Redirect</a>.\n\n").into());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(LOCATION, location);
    response
}

/// The head of an event stream.
pub(super) fn stream() -> Response<()> {
    let mut head = handled(StatusCode::OK, Bytes::new()).map(|_| ());
    let headers = head.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
    head
}
