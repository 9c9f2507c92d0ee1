//! A Dash to report to, and the requests made to it. Protocol facts §2, §3.

use crate::{HostKind, Scheme, Secret, Url, UrlError};
use base64::Engine as _;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request};

/// The header that carries the node's key.
pub const SECRET_HEADER: HeaderName = HeaderName::from_static("x-node-secret");

/// A Dash's metrics URL and the node's key there, both checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    url: Url,
    key: Secret,
}

/// Why a URL and a key make no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The URL cannot be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The key is blank.
    #[error("the key is blank")]
    BlankKey,
    /// The key holds a character that no header takes, such as a line break.
    #[error("the key holds a character that cannot be sent")]
    UnsendableKey,
    /// The scheme is not `https` where that is required.
    #[error("the URL's scheme is not https, which is required")]
    NotHttps,
}

impl Target {
    /// Checks a URL (§2.1, §2.2, and that a request can be made of it) and a key.
    ///
    /// White space around either is removed. Any path will do; without `/metrics` at its end there is no Static and
    /// no identity.
    ///
    /// # Errors
    /// See [`TargetError`]; [`TargetError::NotHttps`] does not occur here.
    pub fn new(url: &str, key: &Secret) -> Result<Self, TargetError> {
        Self::from_url(Url::parse(url)?, key)
    }

    /// The same for a URL that is parsed already, perhaps [into its ASCII form](Url::into_ascii).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_url(url: Url, key: &Secret) -> Result<Self, TargetError> {
        url.to_request_parts()?;
        let key = key.trimmed();
        if key.is_blank() {
            return Err(TargetError::BlankKey);
        }
        HeaderValue::from_str(key.expose()).map_err(|_| TargetError::UnsendableKey)?;
        Ok(Self { url, key })
    }

    /// Returns the metrics URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the key, trimmed.
    #[must_use]
    pub fn key(&self) -> &Secret {
        &self.key
    }

    /// Returns the scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.url.scheme().expect("checked when the target was made")
    }

    /// Returns whether the host is an address.
    #[must_use]
    pub fn host_kind(&self) -> HostKind {
        self.url.host_kind()
    }

    /// Applies `require-https`.
    ///
    /// # Errors
    /// [`TargetError::NotHttps`].
    pub fn require_https(&self) -> Result<(), TargetError> {
        if self.scheme() == Scheme::Https { Ok(()) } else { Err(TargetError::NotHttps) }
    }

    pub(crate) fn with_scheme(&self, scheme: Scheme) -> Self {
        Self { url: self.url.with_scheme(scheme), key: self.key.clone() }
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
            let user = if user.contains(&b':') { user } else { [&user[..], b":"].concat() };
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

/// What requests call themselves unless told otherwise.
pub(crate) const DEFAULT_USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("ithiltir-proto/", env!("CARGO_PKG_VERSION")));

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

    #[test]
    fn keys_that_cannot_be_sent_are_refused_early() {
        let refusal = |key| Target::new("http://h/metrics", &Secret::new(key)).unwrap_err();
        assert_eq!(refusal(" \t"), TargetError::BlankKey);
        assert_eq!(refusal("a\r\nb"), TargetError::UnsendableKey);
        assert_eq!(refusal("a\0b"), TargetError::UnsendableKey);
    }
}
