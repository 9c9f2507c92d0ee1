//! Why a call has no result, and why a command was refused.

use super::{Failure, FailureKind};
use crate::url::{ParseError, Problem};
use crate::wire::{DecodeError, ErrorBody, InstanceId, decode, plain_text};
use http::{Response, StatusCode};
use std::fmt;

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The key is missing or wrong (401).
    #[error("{0}")]
    Unauthorized(KeyProblem),
    /// The master does not do this with the key record (403).
    #[error("forbidden: {0}")]
    Forbidden(ServerText),
    /// There is no such instance (404, in the API's own words).
    #[error("there is no such instance")]
    NotFound,
    /// There is no such route (404, and not of the API): another prefix, another program, or an old release.
    #[error("there is no such route")]
    NotThere,
    /// The instance has this URL already, or a new one was given an id that is taken (409).
    #[error("conflict: {0}")]
    Conflict(ServerText),
    /// The master does not take what it was sent (400, 415, 422, or an answer that says so itself).
    #[error("refused: {0}")]
    BadRequest(ServerText),
    /// The release does not know this method here (405): it is older than the call.
    #[error("the master's release does not know this call")]
    MethodNotAllowed,
    /// The master speaks TLS only: the endpoint has to be `https`.
    #[error("the master wants https")]
    WantsTls,
    /// Another status.
    #[error("the answer's status is {status}: {text}")]
    Status {
        /// Which.
        status: StatusCode,
        /// What it says.
        text: ServerText,
    },
    /// The answer is not what it should be.
    #[error("the answer is not what it should be: {0}")]
    Undecodable(#[source] DecodeError),
    /// The answer is longer than [`Config::max_response`](super::Config::max_response).
    #[error("the answer is too large: {length} bytes")]
    TooLarge {
        /// Its length in bytes.
        length: usize,
    },
    /// There is no answer.
    #[error("{}", .0.kind)]
    Failure(Failure),
    /// The master answers with the key that it had: it does not make another one, as the Rust port does not.
    #[error("the master has kept its key")]
    NotRotated,
    /// The instance URL is none that a process could do something sensible with; nothing was sent. See
    /// [`Config::checks_urls`](super::Config::checks_urls).
    #[error("the instance URL is no good: {}", listed(.0))]
    Url(Vec<Problem>),
    /// The instance was made again under this id, but its alias or its policy was not set.
    #[error("{instance} was made, but not all of it: {reason}")]
    Incomplete {
        /// Its id.
        instance: InstanceId,
        /// Why not.
        reason: Box<Self>,
    },
    /// The client was closed before there was an answer.
    #[error("the client was closed")]
    Closed,
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "there is none, or it is a wrong one")]
pub enum KeyProblem {
    /// None was sent.
    #[error("the master wants a key")]
    Missing,
    /// It is not the master's.
    #[error("the master refuses the key")]
    Invalid,
}

/// What a master says about a refusal: at most 512 bytes, without control characters. `Display` shows it, `Debug` does not:
/// who knows what it repeats.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServerText(Box<str>);

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The client is closed.
    #[error("the client is closed")]
    Closed,
    /// As many calls are under way as [`Config::max_calls`](super::Config::max_calls) allows, or held as
    /// [`Config::max_held`](super::Config::max_held) does.
    #[error("too many calls are under way")]
    TooManyCalls,
    /// An id, or a host and port, that is empty or has more than 4096 bytes, or a master's alias with more than that.
    #[error("an id, target or text is empty or too long")]
    Length,
    /// The key record is no instance: see [`rotate_key`](super::Client::rotate_key) and
    /// [`set_master_alias`](super::Client::set_master_alias).
    #[error("the key record is no instance")]
    KeyRecord,
    /// The instance URL is none.
    #[error("{0}")]
    Url(ParseError),
    /// Another key is being made already.
    #[error("another key is being made already")]
    Rotating,
    /// The key has characters that no header can have, or none at all.
    #[error("the key cannot be sent in a header")]
    Key,
}

fn listed(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// How much of a text is kept, in bytes.
const TEXT_LIMIT: usize = 512;

/// How much is looked at, in bytes: there may be colours in it.
const LOOKED_AT: usize = 4 * TEXT_LIMIT;

impl RequestError {
    /// Returns what an answer other than a success means, without these secrets.
    pub(super) fn of(response: &Response<bytes::Bytes>, secrets: &[&str]) -> Self {
        let (text, is_of_the_api) = ServerText::of(response.body(), secrets);
        match response.status() {
            StatusCode::UNAUTHORIZED if text.0.contains("required") => {
                Self::Unauthorized(KeyProblem::Missing)
            }
            StatusCode::UNAUTHORIZED => Self::Unauthorized(KeyProblem::Invalid),
            StatusCode::FORBIDDEN => Self::Forbidden(text),
            StatusCode::NOT_FOUND if is_of_the_api => Self::NotFound,
            StatusCode::NOT_FOUND => Self::NotThere,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::CONFLICT => Self::Conflict(text),
            StatusCode::BAD_REQUEST
                if text.0.starts_with("Client sent an HTTP request to an HTTPS server") =>
            {
                Self::WantsTls
            }
            StatusCode::BAD_REQUEST
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY => Self::BadRequest(text),
            status => Self::Status { status, text },
        }
    }

    /// Returns what an answer means that has a good status and cannot be read, without these secrets.
    pub(super) fn undecodable(error: DecodeError, body: &[u8], secrets: &[&str]) -> Self {
        match error {
            DecodeError::Failure => Self::BadRequest(ServerText::of(body, secrets).0),
            error => Self::Undecodable(error),
        }
    }

    /// Whether the machine's own limit has passed, or the transport's.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Failure(Failure { kind: FailureKind::TimedOut, .. }))
    }
}

impl ServerText {
    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Finds what a body says, and whether the API says it: as JSON with `error` or `message`.
    fn of(body: &[u8], secrets: &[&str]) -> (Self, bool) {
        #[derive(serde::Deserialize)]
        struct Message {
            message: Box<str>,
        }
        let error = decode::<ErrorBody>(body).map(|body| body.error);
        let told = error.or_else(|_| serde_json::from_slice::<Message>(body).map(|body| body.message)).ok();
        // A good answer that says itself that it is none may have both.
        let inner = || serde_json::from_slice::<ErrorBody>(body).map(|body| body.error).ok();
        if let Some(text) = told.or_else(inner) {
            return (Self::bounded(&text, false, secrets), true);
        }
        let head = &body[..body.len().min(LOOKED_AT)];
        let text = String::from_utf8_lossy(head);
        let is_page = text.trim_start().starts_with(['<', '{', '[']);
        let text = if is_page { "" } else { text.trim() };
        (Self::bounded(text, head.len() < body.len(), secrets), false)
    }

    /// Secrets go first: of one that is cut nobody would know that it is one.
    fn bounded(text: &str, is_cut: bool, secrets: &[&str]) -> Self {
        let looked_at = beginning(text, LOOKED_AT);
        let is_cut = is_cut || looked_at.len() < text.len();
        let mut plain = plain_text(looked_at).into_owned();
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            plain = plain.replace(secret, "…");
            if is_cut {
                plain.truncate(plain.len() - begun(&plain, secret));
            }
        }
        Self(beginning(&plain, TEXT_LIMIT).into())
    }
}

/// Returns as many whole characters as fit.
fn beginning(text: &str, bytes: usize) -> &str {
    let end = (0..=text.len().min(bytes)).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

/// Returns how much of a secret stands at the end of a text.
fn begun(text: &str, secret: &str) -> usize {
    let ends = |length: usize| text.as_bytes().ends_with(&secret.as_bytes()[..length]);
    (1..secret.len()).rev().find(|&length| secret.is_char_boundary(length) && ends(length)).unwrap_or(0)
}

impl fmt::Display for ServerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "no reason is given" } else { &self.0 })
    }
}

impl fmt::Debug for ServerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerText({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> RequestError {
        error_without(&[], status, body)
    }

    fn error_without(secrets: &[&str], status: u16, body: &str) -> RequestError {
        let mut response = Response::new(bytes::Bytes::copy_from_slice(body.as_bytes()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        RequestError::of(&response, secrets)
    }

    #[test]
    fn every_status_has_its_meaning() {
        assert_eq!(
            error(401, "{\"error\":\"Unauthorized: API key required\"}\n"),
            RequestError::Unauthorized(KeyProblem::Missing)
        );
        assert_eq!(error(401, ""), RequestError::Unauthorized(KeyProblem::Invalid));
        assert_eq!(error(404, "{\"error\":\"Instance not found\"}"), RequestError::NotFound);
        assert_eq!(error(404, "404 page not found\n"), RequestError::NotThere);
        assert_eq!(error(404, ""), RequestError::NotThere);
        assert_eq!(error(405, ""), RequestError::MethodNotAllowed);
        assert_eq!(error(400, "Client sent an HTTP request to an HTTPS server.\n"), RequestError::WantsTls);
        assert_eq!(
            error(403, "{\"error\":\"Forbidden: API Key\"}").to_string(),
            "forbidden: Forbidden: API Key"
        );
        assert_eq!(
            error(502, "<html>").to_string(),
            "the answer's status is 502 Bad Gateway: no reason is given"
        );
    }

    #[test]
    fn what_a_master_says_is_found_in_every_form_and_kept_short_and_plain() {
        for body in [
            "{\"error\":\"bad \\u001b[31mcolour\"}",
            "{\"success\":false,\"error\":\"bad colour\"}",
            "{\"success\":false,\"message\":\"bad\\u0007 colour\"}",
            "bad colour\r\n",
        ] {
            assert_eq!(error(422, body).to_string(), "refused: bad colour", "{body}");
        }
        let RequestError::BadRequest(long) = error(400, &"é".repeat(100_000)) else { panic!() };
        assert_eq!(long.as_str().len(), 512);
        assert_eq!(format!("{long:?}"), "ServerText(512 bytes)");
    }

    #[test]
    fn a_key_that_a_master_repeats_is_taken_out() {
        let text = error_without(&["", "k3y"], 400, "{\"error\":\"no such key: k3y\"}").to_string();
        assert_eq!(text, "refused: no such key: …");
    }

    #[test]
    fn a_key_at_the_cut_is_taken_out_whole() {
        let key = "0123456789abcdef";
        for before in 480..=512 {
            let text = error_without(&[key], 400, &format!("{}{key} and more", "x".repeat(before)));
            assert!(!text.to_string().contains('0'), "{before}: {text}");
        }
        // Colours and blanks make the text shorter than what was looked at.
        for nothing in ["\u{1b}[31m".repeat(405), " ".repeat(2_030)] {
            for before in 0..LOOKED_AT - nothing.len() + key.len() {
                let body = format!("{nothing}{}{key}{}", "x".repeat(before), "y".repeat(99));
                for body in [format!("{{\"error\":{}}}", serde_json::to_string(&body).unwrap()), body] {
                    let text = error_without(&[key], 400, &body).to_string();
                    assert!(!text.contains('0'), "{before}: {text}");
                }
            }
        }
    }
}
