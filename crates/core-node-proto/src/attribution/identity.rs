//! The text that names a user inside both proxies.

use super::id::{self, IdOutOfRange};
use std::fmt;
use std::str::FromStr;

/// What a proxy knows a user by: `u{userId}.l{linkId}.s{lsId}.i{protoId}` (§8.1), as an Xray e-mail and as a telemt user name.
/// Every id is one of 1..=[`MAX_ID`](super::MAX_ID), so the text has at most 47 characters.
///
/// ```
/// use core_node_proto::attribution::Identity;
///
/// let identity: Identity = "u12.l3.s45.i6".parse()?;
/// assert_eq!((identity.user_id(), identity.ls_id()), (12, 45));
/// assert_eq!(identity.to_string(), "u12.l3.s45.i6");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    user_id: u32,
    link_id: u32,
    ls_id: u32,
    proto_id: u32,
}

impl Identity {
    /// Takes the four ids.
    ///
    /// # Errors
    /// One of them is out of range.
    pub fn new(user_id: u32, link_id: u32, ls_id: u32, proto_id: u32) -> Result<Self, IdOutOfRange> {
        Ok(Self {
            user_id: id::check(user_id)?,
            link_id: id::check(link_id)?,
            ls_id: id::check(ls_id)?,
            proto_id: id::check(proto_id)?,
        })
    }

    /// Returns the user.
    #[must_use]
    pub fn user_id(self) -> u32 {
        self.user_id
    }

    /// Returns the link, which no report carries (§8.2).
    #[must_use]
    pub fn link_id(self) -> u32 {
        self.link_id
    }

    /// Returns the subscription's link, the key of the client map (§7.3).
    #[must_use]
    pub fn ls_id(self) -> u32 {
        self.ls_id
    }

    /// Returns the node's protocol, which reports call nodeProtocolId (§8.2).
    #[must_use]
    pub fn proto_id(self) -> u32 {
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
    let mut next = |letter| id::read(parts.next()?.strip_prefix(letter)?);
    let identity =
        Identity { user_id: next('u')?, link_id: next('l')?, ls_id: next('s')?, proto_id: next('i')? };
    parts.next().is_none().then_some(identity)
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user_id, link_id, ls_id, proto_id } = self;
        write!(f, "u{user_id}.l{link_id}.s{ls_id}.i{proto_id}")
    }
}
