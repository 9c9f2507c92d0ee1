//! A Dash to report to. §1.

use crate::{HostKind, Scheme, Secret, Url, UrlError};
use http::{HeaderName, HeaderValue};

/// The header that carries the node's key.
pub const SECRET_HEADER: HeaderName = HeaderName::from_static("x-node-secret");

/// A Dash's metrics URL and the node's key there, both checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(crate) url: Url,
    pub(crate) key: Secret,
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
    /// Checks a URL (its form, its host, and that a request can be made of it) and a key.
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
        if let Some(longest) = url.sibling("identity") {
            longest.to_request_parts()?; // a URL has a greatest length
        }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_whose_siblings_would_be_too_long_is_refused() {
        let url = format!("http://h/{}/metrics", "a".repeat(65_525));
        assert!(Target::new(&url, &Secret::new("key")).is_err());
        assert!(Target::new(&url.replacen("aa", "", 1), &Secret::new("key")).is_ok());
    }

    #[test]
    fn keys_that_cannot_be_sent_are_refused_early() {
        let refusal = |key| Target::new("http://h/metrics", &Secret::new(key)).unwrap_err();
        assert_eq!(refusal(" \t"), TargetError::BlankKey);
        assert_eq!(refusal("a\r\nb"), TargetError::UnsendableKey);
        assert_eq!(refusal("a\0b"), TargetError::UnsendableKey);
    }
}
