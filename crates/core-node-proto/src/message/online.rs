//! Who is connected now. §10.1, §10.5.

use crate::value::{Address, NodeProtocolId, Timestamp, UserId};

/// All users that are connected now. It travels over gRPC only; an empty list says that nobody is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct OnlineUsers {
    /// The users, one for each inbound that they use.
    pub users: Vec<OnlineUser>,
}

/// A user that is connected to an inbound.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct OnlineUser {
    /// The user.
    pub user_id: UserId,
    /// The inbound.
    pub node_protocol_id: NodeProtocolId,
    /// From where. Without any the user is connected all the same.
    pub ips: Vec<OnlineIp>,
}

/// An address that a user is connected from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct OnlineIp {
    /// The address.
    pub ip: Address,
    /// When it was last seen; `None` means when the message is received.
    pub last_seen: Option<Timestamp>,
}

impl OnlineIp {
    /// Reads an address as it travels; `None` if it is none, which costs this address only. An instant that is not
    /// readable is absent.
    #[must_use]
    pub fn read(ip: &str, last_seen: &str) -> Option<Self> {
        Some(Self { ip: ip.parse().ok()?, last_seen: Timestamp::from_last_seen(last_seen).ok() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_address_is_left_out_and_an_unreadable_instant_is_absent() {
        assert_eq!(OnlineIp::read("nowhere", "1893553445"), None);
        let seen = OnlineIp::read("[2001:db8::1]", "").unwrap();
        assert_eq!((seen.ip.to_string().as_str(), seen.last_seen), ("2001:db8::1", None));
        let seen = OnlineIp::read("192.0.2.1", "1893553445").unwrap();
        assert_eq!(seen.last_seen.unwrap().to_string(), "2030-01-02T03:04:05.000Z");
        assert_eq!(OnlineIp::read("192.0.2.1", "yesterday").unwrap().last_seen, None);
    }
}
