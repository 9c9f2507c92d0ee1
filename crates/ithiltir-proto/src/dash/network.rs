//! Networks, and the address of the client behind trusted proxies. §3, step 3.

use http::HeaderMap;
use http::header::FORWARDED;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network: the addresses that share their first bits, as in `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a network, as in 10.0.0.0/8 or ::1")]
#[non_exhaustive]
pub struct NetworkError;

impl Network {
    /// Returns the network of an address. An IPv4 address in IPv6 form counts as IPv4; a prefix longer than the
    /// address as the whole address.
    #[must_use]
    pub fn of(address: IpAddr, ipv4_prefix: u8, ipv6_prefix: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let prefix = ipv4_prefix.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                Self { address: IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask)), prefix }
            }
            IpAddr::V6(address) => {
                let prefix = ipv6_prefix.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                Self { address: IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask)), prefix }
            }
        }
    }

    /// Whether an address belongs to it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::of(address, self.prefix, self.prefix) == *self
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Without a prefix it is the one address.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.trim().parse().map_err(|_| NetworkError)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), |prefix| prefix.trim().parse().map_err(|_| NetworkError))?;
        if prefix > longest {
            return Err(NetworkError);
        }
        // Addresses count as IPv4 in their IPv6 form too, so a network of such addresses is one of IPv4.
        let mapped_bits = if address.is_ipv6() && address.to_canonical().is_ipv4() { 96 } else { 0 };
        let prefix = u8::checked_sub(prefix, mapped_bits).ok_or(NetworkError)?;
        Ok(Self::of(address, prefix, prefix))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Returns the address of the client: the peer, or what a trusted peer says, read from the right until an address
/// that is not trusted.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(peer) {
        return peer;
    }
    let mut client = peer;
    let hops = forwarded(headers);
    for hop in hops.iter().rev() {
        match hop.as_deref().and_then(parse_node) {
            Some(address) => client = address,
            None => break, // what stands further left cannot be believed
        }
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// Returns the first element of `X-Forwarded-For`: `None` without the header, `Some(None)` if it is no address.
pub(super) fn first_forwarded_for(headers: &HeaderMap) -> Option<Option<IpAddr>> {
    let value = headers.get(FORWARDED_FOR)?;
    let first = value.to_str().ok().and_then(|value| value.split(',').next());
    Some(first.and_then(|first| parse_node(first.trim())))
}

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Returns the hops that the headers name, from left to right; `None` for one that has no address.
fn forwarded(headers: &HeaderMap) -> Vec<Option<String>> {
    let elements = |name| {
        let values =
            headers.get_all(name).iter().map(|value: &http::HeaderValue| value.to_str().unwrap_or(""));
        values.flat_map(|value| value.split(',')).map(str::trim)
    };
    if headers.contains_key(FORWARDED) {
        let of = |element: &str| {
            let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
            let mut named = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
            named.next().map(|(_, value)| value.trim().trim_matches('"').to_owned())
        };
        elements(FORWARDED.as_str()).map(of).collect()
    } else {
        elements(FORWARDED_FOR).map(|element| Some(element.to_owned())).collect()
    }
}

/// Reads an address, perhaps in brackets, perhaps with a port.
fn parse_node(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']')?.0.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    text.split_once(':')?.0.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn client(peer: &str, headers: &[(&'static str, &'static str)]) -> IpAddr {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, http::HeaderValue::from_static(value));
        }
        client_address(ip(peer), &map, &["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()])
    }

    #[test]
    fn a_network_holds_the_addresses_with_its_first_bits() {
        let network: Network = "192.0.2.77/24".parse().unwrap();
        assert_eq!(network.to_string(), "192.0.2.0/24");
        assert!(network.contains(ip("192.0.2.255")) && network.contains(ip("::ffff:192.0.2.1")));
        assert!(!network.contains(ip("192.0.3.0")) && !network.contains(ip("::1")));
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains(ip("255.1.1.1")));
        assert_eq!(Network::of(ip("2001:db8:1234::1"), 24, 40).to_string(), "2001:db8:1200::/40");
        assert_eq!("::ffff:10.1.2.3/104".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
        for text in ["", "x", "10.0.0.0/33", "10.0.0.0/x", "::/129", "::ffff:10.0.0.0/95"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_from_the_right() {
        let forwarded = [("x-forwarded-for", "1.1.1.1, 2.2.2.2, 10.0.0.9")];
        assert_eq!(client("3.3.3.3", &forwarded), ip("3.3.3.3"));
        assert_eq!(client("10.0.0.1", &forwarded), ip("2.2.2.2"));
        assert_eq!(client("10.0.0.1", &[]), ip("10.0.0.1"));
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "1.1.1.1, nonsense, 10.0.0.9")]), ip("10.0.0.9"));
        let lines = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2:80")];
        assert_eq!(client("::1", &lines), ip("2.2.2.2"));
    }

    #[test]
    fn the_standard_header_is_read_before_the_usual_one() {
        let both = [
            ("forwarded", "for=1.1.1.1;proto=http, For=\"[2001:db8::1]:4711\""),
            ("x-forwarded-for", "9.9.9.9"),
        ];
        assert_eq!(client("10.0.0.1", &both), ip("2001:db8::1"));
        assert_eq!(client("10.0.0.1", &[("forwarded", "for=_hidden")]), ip("10.0.0.1"));
    }
}
