//! Addresses as texts: `host:port`, `[::1]:port`, `:port`, `host:service`.

use crate::service;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A host with a port. An empty host is every interface of a listener, and this machine where it is dialled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    host: String,
    port: u16,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no colon behind the host.
    #[error("missing port in address")]
    NoPort,
    /// An address of IPv6 needs brackets.
    #[error("too many colons in address")]
    Colons,
    /// Brackets do not fit together, or hold no address of IPv6.
    #[error("brackets in the wrong place of the address")]
    Brackets,
    /// The port is no number up to 65535, and no service of this name is known.
    #[error("invalid port")]
    Port,
}

impl Address {
    /// Returns the host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the host is every interface: none, `0.0.0.0` or `::`.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.host.is_empty() || self.ip().is_some_and(|ip| ip.is_unspecified())
    }

    /// Whether the host is this machine as it dials itself; every interface counts, as dialling it leads there.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.is_any()
            || self.host.eq_ignore_ascii_case("localhost")
            || self.ip().is_some_and(|ip| ip.to_canonical().is_loopback())
    }

    /// Returns where to dial, names looked up, in the order to try.
    ///
    /// # Errors
    /// The name is not known.
    pub async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        if self.host.is_empty() {
            let hosts: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return Ok(hosts.map(|host| SocketAddr::new(host, self.port)).to_vec());
        }
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await?;
        Ok(found.collect())
    }

    fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or(AddressError::Brackets)?;
                // The number behind `%` names an interface.
                let ip = host.split_once('%').map_or(host, |(ip, _)| ip);
                if ip.parse::<Ipv6Addr>().is_err() {
                    return Err(AddressError::Brackets);
                }
                (host, rest.strip_prefix(':').ok_or(AddressError::NoPort)?)
            }
            None => text.rsplit_once(':').ok_or(AddressError::NoPort)?,
        };
        if host.contains(':') && !text.starts_with('[') {
            return Err(AddressError::Colons);
        }
        if host.contains(['[', ']']) {
            return Err(AddressError::Brackets);
        }
        // A sign would be taken by the number's own reading.
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = match port {
            "" => 0,
            port if is_number => port.parse().map_err(|_| AddressError::Port)?,
            name => service::port(name).ok_or(AddressError::Port)?,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<(String, u16), AddressError> {
        text.parse().map(|Address { host, port }| (host, port))
    }

    #[test]
    fn hosts_are_names_numbers_or_nothing() {
        for (text, host, port) in [
            ("h:80", "h", 80),
            ("10.0.0.1:65535", "10.0.0.1", 65535),
            ("[::1]:80", "::1", 80),
            ("[fe80::1%eth0]:80", "fe80::1%eth0", 80),
            (":80", "", 80),
            ("h:", "h", 0),
            ("h:0080", "h", 80),
            ("h:ssh", "h", 22),
            (":https", "", 443),
        ] {
            assert_eq!(parts(text), Ok((host.to_owned(), port)), "{text}");
        }
        assert_eq!("[::1]:80".parse::<Address>().map(|address| address.to_string()), Ok("[::1]:80".into()));
    }

    #[test]
    fn garbage_is_refused_with_the_reason() {
        for (text, error) in [
            ("", AddressError::NoPort),
            ("host", AddressError::NoPort),
            ("[::1]", AddressError::NoPort),
            ("::1:80", AddressError::Colons),
            ("a:b:80", AddressError::Colons),
            ("[::1:80", AddressError::Brackets),
            ("[h]:80", AddressError::Brackets),
            ("a]:80", AddressError::Brackets),
            ("h:99999", AddressError::Port),
            ("h:+80", AddressError::Port),
            ("h:no-such-service", AddressError::Port),
            ("h:8\u{663}", AddressError::Port),
        ] {
            assert_eq!(parts(text), Err(error), "{text}");
        }
    }

    #[test]
    fn this_machine_has_many_names() {
        let address = |text: &str| text.parse::<Address>().unwrap();
        for text in [":1", "localhost:1", "127.9.9.9:1", "[::1]:1", "0.0.0.0:1", "[::ffff:127.0.0.1]:1"] {
            assert!(address(text).is_loopback(), "{text}");
        }
        assert!(!address("10.0.0.1:1").is_loopback() && !address("h:1").is_loopback());
        assert!(address(":1").is_any() && address("[::]:1").is_any() && !address("127.0.0.1:1").is_any());
    }
}
