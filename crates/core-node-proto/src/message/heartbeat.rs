//! Heartbeats.

use super::FieldError;
use super::json::{HttpBody, ObjectWriter, body, members, optional, required};
use crate::json::Scalar;
use crate::value::{Address, Revision};

/// A node's sign of life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct Heartbeat {
    /// The node's address.
    pub ip: Option<Address>,
    /// The revision that the node runs on; absent if it applied none.
    pub revision: Option<Revision>,
}

members! {
    struct HeartbeatMembers<'a> {
        "ip" ip: Scalar<'a>,
        "revision" revision: Scalar<'a>,
    }
}

impl HttpBody for Heartbeat {
    fn from_json(json: &[u8]) -> Result<Self, FieldError> {
        let members: HeartbeatMembers<'_> = body(json)?;
        Ok(Self {
            ip: optional("ip", &members.ip, |ip| ip.text()?.parse())?,
            revision: optional("revision", &members.revision, |number| Revision::new(number.whole()?))?,
        })
    }

    fn to_json(&self) -> Result<Vec<u8>, FieldError> {
        Ok(ObjectWriter::body(|object| {
            object.optional_text("ip", self.ip.map(|ip| ip.to_string()).as_deref());
            if let Some(revision) = self.revision {
                object.number("revision", revision.get());
            }
        }))
    }
}

/// Core's reply to [`Heartbeat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct HeartbeatReply {
    /// Whether Core took it. Anything but true is no acknowledgement.
    pub ok: bool,
    /// Whether the node is to fetch its configuration. Absent means no.
    pub need_sync: bool,
}

members! {
    struct ReplyMembers<'a> {
        "ok" ok: Scalar<'a>,
        "needSync" need_sync: Scalar<'a>,
    }
}

impl HttpBody for HeartbeatReply {
    fn from_json(json: &[u8]) -> Result<Self, FieldError> {
        let members: ReplyMembers<'_> = body(json)?;
        Ok(Self {
            ok: required("ok", &members.ok, |value| value.boolean())?,
            need_sync: optional("needSync", &members.need_sync, |value| value.boolean())?.unwrap_or(false),
        })
    }

    fn to_json(&self) -> Result<Vec<u8>, FieldError> {
        Ok(ObjectWriter::body(|object| {
            object.boolean("ok", self.ok);
            object.boolean("needSync", self.need_sync);
        }))
    }
}
