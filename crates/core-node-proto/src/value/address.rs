//! IP addresses. §6.5.

use super::ValueError;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An IP address. Read with or without brackets and zone, both of which are dropped; written as dotted IPv4 or as RFC
/// 5952 has IPv6. An IPv4 address that is mapped into IPv6 is the IPv4 address.
///
/// ```
/// use core_node_proto::value::Address;
/// assert_eq!("[2001:DB8::0:1%eth0]".parse::<Address>()?.to_string(), "2001:db8::1");
/// assert_eq!("::ffff:192.0.2.1".parse::<Address>()?.to_string(), "192.0.2.1");
/// # Ok::<(), core_node_proto::value::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(IpAddr);

impl Address {
    /// Returns the address; never an IPv4 address that is mapped into IPv6.
    #[must_use]
    pub const fn get(self) -> IpAddr {
        self.0
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }
}

impl FromStr for Address {
    type Err = ValueError;

    /// Reads an address.
    ///
    /// # Errors
    /// [`ValueError::NotAnAddress`]: a name, a port after the address, IPv4 with leading zeros, one bracket only.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let text = match text.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or(ValueError::NotAnAddress)?,
            None => text,
        };
        let address = text.split_once('%').map_or(text, |(address, _zone)| address);
        let address: IpAddr = address.parse().map_err(|_| ValueError::NotAnAddress)?;
        Ok(address.into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_zone_go_and_the_form_is_canonical() {
        for (text, canonical) in [
            ("192.0.2.1", "192.0.2.1"),
            ("[192.0.2.1]", "192.0.2.1"),
            ("192.0.2.1%eth0", "192.0.2.1"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]", "fe80::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::FFFF:c000:201]", "192.0.2.1"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("::", "::"),
        ] {
            assert_eq!(
                text.parse::<Address>().map(|address| address.to_string()).as_deref(),
                Ok(canonical),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "[",
            "[]",
            "[::1",
            "::1]",
            "[::1]:443",
            "192.0.2.1:80",
            "192.0.2.01",
            "192.0.2",
            "256.0.0.1",
            "localhost",
            " 192.0.2.1",
            "1::2::3",
            "%eth0",
            "[[::1]]",
            "²::1",
        ] {
            assert_eq!(text.parse::<Address>(), Err(ValueError::NotAnAddress), "{text}");
        }
    }
}
