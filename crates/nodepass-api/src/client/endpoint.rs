//! Where a master is. §1.

use http::Uri;
use std::fmt;
use std::str::FromStr;

/// Where a master is, as people paste it: with or without the prefix, the version or the route behind it.
///
/// Without a path the prefix is `/api`. The document has the routes below the prefix itself, masters have them below
/// `<prefix>/v1`: an endpoint knows both, see [`Layout`].
///
/// ```
/// use nodepass_api::client::{Endpoint, Layout};
///
/// for pasted in ["http://10.0.0.1:9090", "http://10.0.0.1:9090/api/", "http://10.0.0.1:9090/api/v1/instances"] {
///     assert_eq!(pasted.parse::<Endpoint>()?.base(Layout::Versioned).as_str(), "http://10.0.0.1:9090/api/v1");
/// }
/// let panel: Endpoint = "https://panel.example/admin/docs".parse()?;
/// assert_eq!(panel.base(Layout::Plain).as_str(), "https://panel.example/admin");
/// # Ok::<(), nodepass_api::client::EndpointError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Scheme, host and port.
    origin: Box<str>,
    /// Without a slash at its end; empty or beginning with one.
    prefix: Box<str>,
}

/// Where the routes are below an endpoint's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the document and the original program have these two")]
pub enum Layout {
    /// `<prefix>/v1/…`, as masters have it.
    Versioned,
    /// `<prefix>/…`, as the document has it.
    Plain,
}

/// The URL that routes are joined to, without a slash at its end.
#[derive(Clone, PartialEq, Eq)]
pub struct Base(Box<str>);

/// Why a text is no address of a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// No URL.
    #[error("not a URL")]
    Syntax,
    /// A scheme other than `http` and `https`.
    #[error("the scheme must be http or https")]
    Scheme,
    /// A user or a password in the URL: masters know keys only, and they are a setting of their own.
    #[error("the URL must not hold credentials")]
    Credentials,
}

/// Routes that may stand at the end of what was pasted.
const ROUTES: [&str; 6] = ["instances", "events", "info", "tcping", "openapi.json", "docs"];
const DEFAULT_PREFIX: &str = "/api";

impl Endpoint {
    /// Returns the URL that routes are joined to.
    #[must_use]
    pub fn base(&self, layout: Layout) -> Base {
        let version = match layout {
            Layout::Versioned => "/v1",
            Layout::Plain => "",
        };
        Base(format!("{}{}{version}", self.origin, self.prefix).into())
    }
}

impl Base {
    /// Returns the URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(pasted: &str) -> Result<Self, EndpointError> {
        let uri: Uri = pasted.trim().parse().map_err(|_| EndpointError::Syntax)?;
        let scheme = match uri.scheme_str() {
            Some(scheme @ ("http" | "https")) => scheme,
            Some(_) => return Err(EndpointError::Scheme),
            None => return Err(EndpointError::Syntax),
        };
        let authority = uri.authority().ok_or(EndpointError::Syntax)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::Credentials);
        }
        if authority.host().is_empty() {
            return Err(EndpointError::Syntax);
        }
        let endpoint =
            Self { origin: format!("{scheme}://{authority}").into(), prefix: prefix(uri.path()).into() };
        // Room for the longest route and an id.
        let longest = format!("{}/instances/********", endpoint.base(Layout::Versioned).as_str());
        longest.parse::<Uri>().map_err(|_| EndpointError::Syntax)?;
        Ok(endpoint)
    }
}

/// Finds the prefix in a path: what is left without a route and without the version at its end.
fn prefix(path: &str) -> String {
    let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let is_id = |segments: &[&str]| matches!(segments, [.., "instances", _]);
    if segments.last().is_some_and(|last| ROUTES.contains(last)) {
        segments.pop();
    } else if is_id(&segments) {
        segments.truncate(segments.len() - 2);
    }
    let has_version = segments.last() == Some(&"v1");
    if has_version {
        segments.pop();
    }
    match segments.as_slice() {
        // A version by itself: somebody has moved the API to the root.
        [] if has_version => String::new(),
        [] => DEFAULT_PREFIX.to_owned(),
        segments => segments.iter().flat_map(|segment| ["/", segment]).collect(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base(Layout::Plain).as_str())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_pasted_leads_to_the_same_prefix() {
        for (path, expected) in [
            ("", "/api"),
            ("/", "/api"),
            ("/api", "/api"),
            ("/api/", "/api"),
            ("/api/v1", "/api"),
            ("/api/v1/", "/api"),
            ("//api//v1//", "/api"),
            ("/api/v1/instances", "/api"),
            ("/api/v1/instances/", "/api"),
            ("/api/v1/instances/a1b2c3d4", "/api"),
            ("/api/v1/instances/********", "/api"),
            ("/api/docs", "/api"),
            ("/api/v1/openapi.json?x=1#top", "/api"),
            ("/docs", "/api"),
            ("/admin", "/admin"),
            ("/admin/v1", "/admin"),
            ("/a/b/", "/a/b"),
            ("/a/b/v1/events", "/a/b"),
            ("/v1", ""),
            ("/v1/v1", "/v1"),
            ("/v1api", "/v1api"),
        ] {
            let endpoint: Endpoint = format!(" https://h.example:9090{path}\n").parse().unwrap();
            assert_eq!(&*endpoint.prefix, expected, "{path}");
            let base = format!("https://h.example:9090{expected}/v1");
            assert_eq!(endpoint.base(Layout::Versioned).as_str(), base, "{path}");
        }
        let bracketed: Endpoint = "http://[::1]:9090/api".parse().unwrap();
        assert_eq!(bracketed.to_string(), "http://[::1]:9090/api");
    }

    #[test]
    fn what_is_no_address_of_a_master_is_refused() {
        for (text, error) in [
            ("", EndpointError::Syntax),
            ("10.0.0.1:9090", EndpointError::Syntax),
            ("/api", EndpointError::Syntax),
            ("http://", EndpointError::Syntax),
            ("http://:9090/api", EndpointError::Syntax),
            ("http://h h/", EndpointError::Syntax),
            ("master://h:9090/api", EndpointError::Scheme),
            ("ws://h/", EndpointError::Scheme),
            ("http://user:secret@h/", EndpointError::Credentials),
            ("http://key@h:9090/api", EndpointError::Credentials),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
        }
    }
}
