//! Where Core's HTTP routes are. §1.

use crate::endpoint::{is_loopback, read_host, read_port, split_port};
use http::Uri;
use std::fmt;

/// Longest base address, far below what a URI may have.
const MAX_LENGTH: usize = 2048;

/// The address below which Core's routes are, `https://core.example/api`. `Display` writes it, without a slash at its end.
///
/// ```
/// use core_node_proto::http::Base;
///
/// let base = Base::parse("https://core.example/api/")?;
/// assert_eq!(base.to_string(), "https://core.example/api");
/// assert_eq!((base.host(), base.port(), base.is_tls()), ("core.example", 443, true));
/// # Ok::<(), core_node_proto::http::BaseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Base {
    text: Box<str>,
    /// Without brackets.
    host: Box<str>,
    port: u16,
    is_tls: bool,
}

/// Why a text is no base address. It is not repeated, as it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseError {
    /// It does not begin with `http://` or `https://`.
    #[error("the base address has no scheme http or https")]
    Scheme,
    /// There is a user or password before the host.
    #[error("the base address holds user information")]
    UserInformation,
    /// There is no host, or it is neither an address nor an ASCII host name.
    #[error("the host of the base address is malformed")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port of the base address is not a number from 1 to 65535")]
    Port,
    /// The path has characters that a path cannot have, or there is a query or a fragment.
    #[error("the base address has something other than a path after its host")]
    Path,
    /// It has more than 2048 bytes.
    #[error("the base address is too long")]
    TooLong,
}

impl Base {
    /// Reads a base address. White space around it and slashes at its end are dropped; a path in front of the routes stays.
    ///
    /// # Errors
    /// See [`BaseError`].
    pub fn parse(text: &str) -> Result<Self, BaseError> {
        let text = text.trim_ascii();
        if text.len() > MAX_LENGTH {
            return Err(BaseError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(BaseError::Scheme)?;
        let is_tls = scheme.eq_ignore_ascii_case("https");
        if !is_tls && !scheme.eq_ignore_ascii_case("http") {
            return Err(BaseError::Scheme);
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(BaseError::UserInformation);
        }
        let (host, port) = split_port(authority).map_err(|_| BaseError::Host)?;
        let path = path.trim_end_matches('/');
        let text = format!("{}://{authority}{path}", if is_tls { "https" } else { "http" });
        let host = read_host(host).map_err(|_| BaseError::Host)?;
        let default = if is_tls { 443 } else { 80 };
        let port = port.map_or(Ok(default), |text| read_port(text).ok_or(BaseError::Port))?;
        if path.contains(['?', '#']) || !path.is_ascii() || format!("{text}/").parse::<Uri>().is_err() {
            return Err(BaseError::Path);
        }
        Ok(Self { text: text.into(), host, port, is_tls })
    }

    /// Whether to speak TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Returns the host name or address, an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, from 1; without one in the text 443 or 80.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the host is this machine: a loopback address, or `localhost`. Cleartext to anywhere else deserves a warning (§15).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Returns the address of a route.
    pub(super) fn uri(&self, route: &str) -> Uri {
        format!("{}{route}", self.text).parse().expect("a base address with a route is a URI")
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
