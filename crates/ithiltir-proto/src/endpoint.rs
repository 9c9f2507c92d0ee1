//! The requests that a node makes. §1.

use crate::{ExpiryProbe, SECRET_HEADER, Scheme, Secret, Target, Url, UrlError};
use base64::Engine as _;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request};

/// What requests call themselves unless told otherwise.
pub(crate) const DEFAULT_USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("ithiltir-proto/", env!("CARGO_PKG_VERSION")));

impl Target {
    pub(crate) fn with_scheme(&self, scheme: Scheme) -> Self {
        Self { url: self.url.with_scheme(scheme), key: self.key.clone() }
    }

    /// Returns the question whether the certificate was good until it expired.
    pub(crate) fn expiry_probe(&self) -> ExpiryProbe {
        let port = self.url.port().parse().expect("checked when the target was made");
        ExpiryProbe::new(self.url.host(), port)
    }

    /// Returns what is needed to post to the metrics URL.
    pub(crate) fn metrics(&self, user_agent: &HeaderValue) -> Endpoint {
        self.endpoint(&self.url, user_agent)
    }

    /// Returns what is needed to post to a sibling, if there is one.
    pub(crate) fn sibling(&self, name: &str, user_agent: &HeaderValue) -> Option<Endpoint> {
        Some(self.endpoint(&self.url.sibling(name)?, user_agent))
    }

    fn endpoint(&self, url: &Url, user_agent: &HeaderValue) -> Endpoint {
        Endpoint::new(url, Some(&self.key), user_agent)
            .expect("URL and key were checked when the target was made, and siblings differ in the path only")
    }
}

/// A URL with the headers for it, ready for any number of requests.
#[derive(Clone)]
pub(crate) struct Endpoint {
    uri: http::Uri,
    user_agent: HeaderValue,
    key: Option<HeaderValue>,
    authorization: Option<HeaderValue>,
}

impl Endpoint {
    pub(crate) fn new(url: &Url, key: Option<&Secret>, user_agent: &HeaderValue) -> Result<Self, UrlError> {
        let (uri, user) = url.to_request_parts()?;
        let sensitive = |text: &str| {
            let mut value = HeaderValue::from_str(text).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        let authorization = user.and_then(|user| {
            sensitive(&format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user)))
        });
        let key = key.and_then(|key| sensitive(key.expose()));
        Ok(Self { uri, user_agent: user_agent.clone(), key, authorization })
    }

    pub(crate) fn post(&self, body: Bytes) -> Request<Bytes> {
        let mut request = self.request(Method::POST, body);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }

    pub(crate) fn get(&self) -> Request<Bytes> {
        self.request(Method::GET, Bytes::new())
    }

    fn request(&self, method: Method, body: Bytes) -> Request<Bytes> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, self.user_agent.clone());
        if let Some(key) = &self.key {
            headers.insert(SECRET_HEADER, key.clone());
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_carries_the_key_and_nothing_that_shows_it() {
        let target = Target::new(" http://u:p@h/metrics ", &Secret::new(" hunter2 ")).unwrap();
        let request = target.metrics(&DEFAULT_USER_AGENT).post(Bytes::from_static(b"{}"));
        assert_eq!(request.headers()["x-node-secret"], "hunter2");
        assert_eq!(request.headers()["authorization"], "Basic dTpw");
        assert_eq!(request.headers()["content-type"], "application/json");
        assert_eq!(request.uri(), "http://h/metrics");
        assert!(!format!("{target:?} {request:?}").contains("hunter2"));
    }
}
