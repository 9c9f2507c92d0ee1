//! Outbound traffic.

use super::json::{HttpBody, List, ObjectWriter, body, items, members, required};
use super::usage::{check_bytes, read_bytes};
use super::{FieldError, MAX_TEXT_CHARACTERS};
use crate::json::Scalar;
use crate::value::{ByteCount, ValueError};

/// A batch of outbound traffic. An agent sends none without items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct OutboundUsage {
    /// The items.
    pub items: Vec<OutboundItem>,
}

/// What went through one outbound since the last report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct OutboundItem {
    /// The outbound's tag, 1 to 256 characters.
    pub tag: String,
    /// Bytes sent.
    pub bytes_up: ByteCount,
    /// Bytes received.
    pub bytes_down: ByteCount,
}

members! {
    struct Members<'a> {
        "items" items: List<ItemMembers<'a>>,
    }
}

members! {
    struct ItemMembers<'a> {
        "tag" tag: Scalar<'a>,
        "bytesUp" bytes_up: Scalar<'a>,
        "bytesDown" bytes_down: Scalar<'a>,
    }
}

impl OutboundUsage {
    /// Checks the rule of tags.
    ///
    /// # Errors
    /// The first tag that breaks it.
    pub fn check(&self) -> Result<(), FieldError> {
        self.items.iter().enumerate().try_for_each(|(index, item)| {
            let length = ValueError::check_length(&item.tag, 1, MAX_TEXT_CHARACTERS);
            length.map_err(|error| FieldError::new("tag", error).in_item("items", index))
        })
    }
}

fn read_item(members: &ItemMembers<'_>) -> Result<OutboundItem, FieldError> {
    Ok(OutboundItem {
        tag: required("tag", &members.tag, |tag| tag.text().map(str::to_owned))?,
        bytes_up: read_bytes("bytesUp", &members.bytes_up)?,
        bytes_down: read_bytes("bytesDown", &members.bytes_down)?,
    })
}

impl HttpBody for OutboundUsage {
    fn from_json(json: &[u8]) -> Result<Self, FieldError> {
        let members: Members<'_> = body(json)?;
        let usage = Self { items: items("items", &members.items, read_item)? };
        usage.check()?;
        Ok(usage)
    }

    fn to_json(&self) -> Result<Vec<u8>, FieldError> {
        self.check()?;
        for (index, item) in self.items.iter().enumerate() {
            check_bytes(item.bytes_up, item.bytes_down).map_err(|error| error.in_item("items", index))?;
        }
        Ok(ObjectWriter::body(|object| {
            object.list("items", |list| {
                for item in &self.items {
                    list.object(|object| {
                        object.text("tag", &item.tag);
                        object.number("bytesUp", item.bytes_up.get());
                        object.number("bytesDown", item.bytes_down.get());
                    });
                }
            });
        }))
    }
}
