//! Comparable pictures of `http` requests and responses, whose own types have no `PartialEq`.

use bytes::Bytes;
use http::HeaderMap;

/// What a test compares of a request.
///
/// Headers marked sensitive are shown as they are, since tests compare them: print it in tests only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The whole URI.
    pub uri: String,
    /// The chosen headers, by the order of choice; those that are missing are left out.
    pub headers: Vec<(String, String)>,
    /// The body as text; bytes that are no UTF-8 are escaped.
    pub body: String,
}

/// What a test compares of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenResponse {
    /// The status code.
    pub status: u16,
    /// The chosen headers, by the order of choice; those that are missing are left out.
    pub headers: Vec<(String, String)>,
    /// The body as text; bytes that are no UTF-8 are escaped.
    pub body: String,
}

/// Returns what can be compared of a request, with the headers of these names.
pub fn seen(request: &http::Request<Bytes>, headers: &[&str]) -> Seen {
    Seen {
        method: request.method().to_string(),
        uri: request.uri().to_string(),
        headers: chosen(request.headers(), headers),
        body: text(request.body()),
    }
}

/// Returns what can be compared of a response, with the headers of these names.
pub fn seen_response(response: &http::Response<Bytes>, headers: &[&str]) -> SeenResponse {
    SeenResponse {
        status: response.status().as_u16(),
        headers: chosen(response.headers(), headers),
        body: text(response.body()),
    }
}

fn chosen(headers: &HeaderMap, names: &[&str]) -> Vec<(String, String)> {
    let values = |name: &&str| {
        let name = name.to_ascii_lowercase();
        headers
            .get_all(&name)
            .into_iter()
            .map(move |value| (name.clone(), text(value.as_bytes())))
            .collect::<Vec<_>>()
    };
    names.iter().flat_map(values).collect()
}

fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Request, Response};

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_request_is_seen_with_its_chosen_headers_also_the_sensitive_ones() {
        let mut key = HeaderValue::from_static("key");
        key.set_sensitive(true);
        let request = Request::post("https://example.org/a?b=c")
            .header("x-key", key)
            .header("accept", "a")
            .header("accept", "b")
            .header("host", "ignored")
            .body(Bytes::from_static(b"{}"))
            .unwrap();
        let expected = Seen {
            method: "POST".to_owned(),
            uri: "https://example.org/a?b=c".to_owned(),
            headers: pairs(&[("accept", "a"), ("accept", "b"), ("x-key", "key")]),
            body: "{}".to_owned(),
        };
        assert_eq!(seen(&request, &["Accept", "missing", "X-Key"]), expected);
    }

    #[test]
    fn a_response_is_seen_also_when_its_body_is_no_text() {
        let response = Response::builder()
            .status(418)
            .header("etag", "\"1\"")
            .body(Bytes::from_static(b"\xff\n"))
            .unwrap();
        let expected =
            SeenResponse { status: 418, headers: pairs(&[("etag", "\"1\"")]), body: "\\xff\\n".to_owned() };
        assert_eq!(seen_response(&response, &["etag"]), expected);
    }
}
