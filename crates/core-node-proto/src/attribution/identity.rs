//! The text that names a user inside both proxies.

use crate::value::{LinkId, LsId, NodeProtocolId, UserId};
use std::fmt;
use std::str::FromStr;

/// What a proxy knows a user by: `u{userId}.l{linkId}.s{lsId}.i{protoId}` (§8.1), as an Xray e-mail and as a telemt user name.
/// The text has at most 47 characters.
///
/// ```
/// use core_node_proto::attribution::Identity;
///
/// let identity: Identity = "u12.l3.s45.i6".parse()?;
/// assert_eq!((identity.user_id().get(), identity.ls_id().get()), (12, 45));
/// assert_eq!(identity.to_string(), "u12.l3.s45.i6");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    user_id: UserId,
    link_id: LinkId,
    ls_id: LsId,
    proto_id: NodeProtocolId,
}

impl Identity {
    /// Takes the four ids.
    #[must_use]
    pub const fn new(user_id: UserId, link_id: LinkId, ls_id: LsId, proto_id: NodeProtocolId) -> Self {
        Self { user_id, link_id, ls_id, proto_id }
    }

    /// Returns the user.
    #[must_use]
    pub fn user_id(self) -> UserId {
        self.user_id
    }

    /// Returns the link, which no report carries (§8).
    #[must_use]
    pub fn link_id(self) -> LinkId {
        self.link_id
    }

    /// Returns the subscription's link, the key of the client map (§7.3).
    #[must_use]
    pub fn ls_id(self) -> LsId {
        self.ls_id
    }

    /// Returns the node's protocol, which reports call nodeProtocolId (§8).
    #[must_use]
    pub fn proto_id(self) -> NodeProtocolId {
        self.proto_id
    }
}

/// A name is no identity text. Its bytes belong to nobody (§8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not of the form u{{userId}}.l{{linkId}}.s{{lsId}}.i{{protoId}}")]
#[non_exhaustive]
pub struct IdentityError;

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        read(text).ok_or(IdentityError)
    }
}

fn read(text: &str) -> Option<Identity> {
    let mut parts = text.split('.');
    let user_id = id(parts.next(), 'u')?;
    let link_id = id(parts.next(), 'l')?;
    let ls_id = id(parts.next(), 's')?;
    let proto_id = id(parts.next(), 'i')?;
    parts.next().is_none().then_some(Identity { user_id, link_id, ls_id, proto_id })
}

fn id<T: FromStr>(part: Option<&str>, letter: char) -> Option<T> {
    part?.strip_prefix(letter)?.parse().ok()
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user_id, link_id, ls_id, proto_id } = self;
        write!(f, "u{user_id}.l{link_id}.s{ls_id}.i{proto_id}")
    }
}
