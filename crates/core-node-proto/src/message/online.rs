//! Who is connected now. §10.1, §10.5.

use crate::value::{Address, NodeProtocolId, Timestamp, UserId};

/// All users that are connected now. It travels over gRPC only; an empty list says that nobody is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct OnlineUsers {
    /// The users, one for each inbound that they use.
    pub users: Vec<OnlineUser>,
    /// How many addresses were left out because they could not be read. It does not travel.
    pub unreadable: usize,
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
