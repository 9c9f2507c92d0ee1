//! What the Dash answers. §3.

use super::rate::Budget;
use crate::wire::{ErrorBody, Manifest, MetricsResponse, encode_into};
use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

/// Why a request was refused, as the peer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// 404: no such route.
    NotFound,
    /// 405: the route takes POST only.
    MethodNotAllowed,
    /// 415: the body's media type is not `application/json`.
    UnsupportedMediaType,
    /// 429: too many requests from this network.
    RateLimited,
    /// 413: the body is too large; the connection closes.
    BodyTooLarge,
    /// 401: no key, or one that nobody has.
    Unauthorized,
    /// 400: the body is no JSON of the right form.
    InvalidRequest,
    /// 422: the report makes no sense.
    InvalidMetrics,
    /// 422: the Static makes no sense.
    InvalidStaticPayload,
    /// 503: it cannot be stored, or the installation's id is broken.
    ServiceUnavailable,
}

impl ErrorCode {
    /// Returns the code for programs, as in `invalid_metrics`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.parts().1
    }

    /// Returns the message for people.
    #[must_use]
    pub fn message(self) -> &'static str {
        self.parts().2
    }

    /// Returns the status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.parts().0
    }

    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "resource not found"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "method not allowed")
            }
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "content-type must be application/json",
            ),
            Self::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "request body too large"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "unauthorized"),
            Self::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid_request", "invalid request"),
            Self::InvalidMetrics => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_metrics", "invalid metrics"),
            Self::InvalidStaticPayload => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid_static_payload", "invalid static payload")
            }
            Self::ServiceUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", "service unavailable")
            }
        }
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A JSON body ends with a line break.
pub(super) fn json(message: &impl Serialize, budget: Option<Budget>) -> Response<Bytes> {
    let mut body = Vec::with_capacity(256);
    encode_into(message, &mut body);
    body.push(b'\n');
    answer(StatusCode::OK, JSON, body.into(), budget)
}

/// Nearly every report gets the same body.
pub(super) fn metrics(update: Option<Manifest>, budget: Option<Budget>) -> Response<Bytes> {
    match update {
        None => answer(StatusCode::OK, JSON, Bytes::from_static(b"{\"ok\":true,\"update\":null}\n"), budget),
        update => json(&MetricsResponse { ok: true, update }, budget),
    }
}

pub(super) fn ok(budget: Option<Budget>) -> Response<Bytes> {
    answer(StatusCode::OK, TEXT, Bytes::from_static(b"ok"), budget)
}

pub(super) fn refusal(code: ErrorCode, budget: Option<Budget>) -> Response<Bytes> {
    let body = ErrorBody { code: code.as_str().to_owned(), message: code.message().to_owned() };
    let mut response = json(&body, budget);
    *response.status_mut() = code.status();
    match code {
        ErrorCode::MethodNotAllowed => set(&mut response, ALLOW, HeaderValue::from_static("POST")),
        ErrorCode::BodyTooLarge => set(&mut response, CONNECTION, HeaderValue::from_static("close")),
        _ => {}
    }
    response
}

fn answer(
    status: StatusCode,
    media_type: HeaderValue,
    body: Bytes,
    budget: Option<Budget>,
) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, media_type);
    if let Some(budget) = budget {
        set(&mut response, HeaderName::from_static("x-ratelimit-limit"), budget.limit.into());
        set(&mut response, HeaderName::from_static("x-ratelimit-remaining"), budget.remaining.into());
        set(&mut response, HeaderName::from_static("x-ratelimit-reset"), budget.reset.into());
        if let Some(seconds) = budget.retry_after {
            set(&mut response, RETRY_AFTER, seconds.into());
        }
    }
    response
}

fn set(response: &mut Response<Bytes>, name: HeaderName, value: HeaderValue) {
    response.headers_mut().insert(name, value);
}
