//! Which addresses are worth a question.

use crate::value::Address;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address can be that of a host on the Internet. Providers know nothing about others, and private ones are
/// nobody's business.
pub(super) fn is_global(address: Address) -> bool {
    match address.get() {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    let is_reserved = match address.octets() {
        [0 | 240..=255, ..] => true,
        [100, second, ..] => second & 0xC0 == 64, // shared address space
        [192, 0, 0, _] => true,                   // protocol assignments
        [198, 18 | 19, ..] => true,               // benchmarks
        _ => false,
    };
    !(is_reserved
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

/// Global unicast is 2000::/3, less what is set aside in it.
fn is_global_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, 0x0DB8, ..] => false,          // documentation
        [0x2001, 0x0002, 0, ..] => false,       // benchmarks
        [0x2001, 0x0010..=0x003F, ..] => false, // hashes in the form of addresses
        [0x3FFF, 0..=0x0FFF, ..] => false,      // documentation
        [first, ..] => first >> 13 == 1,
    }
}

#[cfg(test)]
mod tests {

    fn is_global(text: &str) -> bool {
        super::is_global(text.parse().unwrap())
    }

    #[test]
    fn hosts_on_the_internet_are_global() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2a00:1450::1",
            "2001:2:1::1",
            "3fff:1000::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_global(text), "{text}");
        }
    }

    #[test]
    fn private_local_and_reserved_addresses_are_not() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001:2::1",
            "2001:20::1",
            "3fff::1",
        ] {
            assert!(!is_global(text), "{text}");
        }
    }
}
