//! Value formats: what an id, an instant, an address or an enumeration may be. §2.6, §6.
//!
//! | value | range or form |
//! | --- | --- |
//! | [`UserId`], [`SubscriptionId`], [`NodeProtocolId`], [`LinkId`], [`LsId`] | 1 to 2³¹-1 |
//! | [`NodeId`] | such a number, or a text |
//! | [`Revision`] | 0 to 2³¹-1 |
//! | [`ByteCount`] | 0 to 2⁶³-1, over HTTP to 2⁵³-1 |
//! | [`Timestamp`] | an instant in milliseconds |
//! | [`Address`] | an IP address in canonical form |
//! | [`VpnProtocol`], [`SessionEventType`], [`NodeStatus`], [`SyncStatus`] | open enumerations |
//!
//! A value that exists is valid; all errors are a [`ValueError`], which says what is wrong and never repeats the input.

mod address;
mod auth_key;
mod byte_count;
mod enumeration;
mod error;
mod id;
mod node_id;
mod stored;
mod timestamp;

pub use address::Address;
pub(crate) use auth_key::check_auth_key;
pub use byte_count::ByteCount;
pub use enumeration::{
    MAX_ENUMERATION_CHARACTERS, NodeStatus, NodeStatusKind, SessionEventType, SessionEventTypeKind,
    SyncStatus, SyncStatusKind, VpnProtocol, VpnProtocolKind,
};
pub use error::ValueError;
pub use id::{LinkId, LsId, NodeProtocolId, Revision, SubscriptionId, UserId};
pub use node_id::NodeId;
#[cfg(feature = "core")]
pub(crate) use stored::as_text;
pub use timestamp::Timestamp;
