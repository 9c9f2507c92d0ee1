//! Where a runtime is.

use http::Uri;
use std::fmt;

/// The addresses of a runtime: of its comms, and of its admin API beside it.
///
/// ```
/// use nodered_comms::client::Endpoint;
///
/// let endpoint: Endpoint = "ws://127.0.0.1:1880/admin/comms".parse()?;
/// assert_eq!(endpoint.comms(), "ws://127.0.0.1:1880/admin/comms");
/// assert_eq!(endpoint.admin("auth/login"), "http://127.0.0.1:1880/admin/auth/login");
/// // What a browser shows will do as well.
/// assert_eq!("https://flows.example/admin/".parse::<Endpoint>()?.comms(), "wss://flows.example/admin/comms");
/// # Ok::<(), nodered_comms::client::EndpointError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    is_secure: bool,
    authority: String,
    /// Of the admin API; begins and ends with a slash.
    root: String,
}

/// Why a text is no address of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// No URL.
    #[error("not a URL")]
    Syntax,
    /// A scheme other than `ws`, `wss`, `http` and `https`.
    #[error("the scheme must be ws, wss, http or https")]
    Scheme,
    /// A user or a password in the URL: credentials are settings of their own.
    #[error("the URL must not hold credentials")]
    Credentials,
}

impl Endpoint {
    /// Returns the URL of the comms, `ws` or `wss`.
    #[must_use]
    pub fn comms(&self) -> String {
        let scheme = if self.is_secure { "wss" } else { "ws" };
        format!("{scheme}://{}{}comms", self.authority, self.root)
    }

    /// Returns the URL of a route of the admin API, `http` or `https`.
    #[must_use]
    pub fn admin(&self, route: &str) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}{}{route}", self.authority, self.root)
    }
}

impl std::str::FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(url: &str) -> Result<Self, EndpointError> {
        let uri: Uri = url.trim().parse().map_err(|_| EndpointError::Syntax)?;
        let is_secure = match uri.scheme_str() {
            Some("ws" | "http") => false,
            Some("wss" | "https") => true,
            Some(_) => return Err(EndpointError::Scheme),
            None => return Err(EndpointError::Syntax),
        };
        let authority = uri.authority().ok_or(EndpointError::Syntax)?.as_str();
        if authority.contains('@') {
            return Err(EndpointError::Credentials);
        }
        let path = uri.path();
        let root = path.strip_suffix("/comms").or_else(|| path.strip_suffix("/comms/")).unwrap_or(path);
        let root = format!("{}/", root.trim_end_matches('/'));
        let endpoint = Self { is_secure, authority: authority.to_owned(), root };
        // The longest URL that is made of it.
        endpoint.admin("auth/login").parse::<Uri>().map_err(|_| EndpointError::Syntax)?;
        Ok(endpoint)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.comms())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}
