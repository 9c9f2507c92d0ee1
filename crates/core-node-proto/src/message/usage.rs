//! User traffic.

use super::FieldError;
use super::json::{HttpBody, List, ObjectWriter, body, items, members, optional, required};
use crate::json::Scalar;
use crate::value::{ByteCount, NodeProtocolId, SubscriptionId, Timestamp, UserId, ValueError};

/// A batch of user traffic. An agent sends none without entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct Usage {
    /// The entries.
    pub entries: Vec<UsageEntry>,
}

/// What one user sent and received through one inbound since the last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct UsageEntry {
    /// The user.
    pub user_id: UserId,
    /// The user's subscription; `None` is written as null.
    pub subscription_id: Option<SubscriptionId>,
    /// The inbound.
    pub node_protocol_id: NodeProtocolId,
    /// Bytes from the user.
    pub bytes_up: ByteCount,
    /// Bytes to the user.
    pub bytes_down: ByteCount,
    /// When the bytes were frozen: an agent writes the last millisecond of its usage period, or the time of a freeze in
    /// between.
    pub recorded_at: Timestamp,
}

members! {
    struct Members<'a> {
        "entries" entries: List<EntryMembers<'a>>,
    }
}

members! {
    struct EntryMembers<'a> {
        "userId" user_id: Scalar<'a>,
        "subscriptionId" subscription_id: Scalar<'a>,
        "nodeProtocolId" node_protocol_id: Scalar<'a>,
        "bytesUp" bytes_up: Scalar<'a>,
        "bytesDown" bytes_down: Scalar<'a>,
        "recordedAt" recorded_at: Scalar<'a>,
    }
}

/// Reads a counter that came over HTTP.
pub(super) fn read_bytes(name: &str, slot: &Scalar<'_>) -> Result<ByteCount, FieldError> {
    required(name, slot, |number| ByteCount::from_http(number.whole()?))
}

/// Checks that both counters can go over HTTP.
pub(super) fn check_bytes(bytes_up: ByteCount, bytes_down: ByteCount) -> Result<(), FieldError> {
    for (name, bytes) in [("bytesUp", bytes_up), ("bytesDown", bytes_down)] {
        if !bytes.fits_http() {
            let error = ValueError::OutOfRange { least: 0, most: ByteCount::MAX_HTTP.get() };
            return Err(FieldError::new(name, error));
        }
    }
    Ok(())
}

fn read_entry(members: &EntryMembers<'_>) -> Result<UsageEntry, FieldError> {
    let subscription = |number: &Scalar<'_>| SubscriptionId::new(number.whole()?);
    Ok(UsageEntry {
        user_id: required("userId", &members.user_id, |number| UserId::new(number.whole()?))?,
        subscription_id: optional("subscriptionId", &members.subscription_id, subscription)?,
        node_protocol_id: required("nodeProtocolId", &members.node_protocol_id, |number| {
            NodeProtocolId::new(number.whole()?)
        })?,
        bytes_up: read_bytes("bytesUp", &members.bytes_up)?,
        bytes_down: read_bytes("bytesDown", &members.bytes_down)?,
        recorded_at: required("recordedAt", &members.recorded_at, |at| at.text()?.parse())?,
    })
}

fn write_entry(entry: &UsageEntry, object: &mut ObjectWriter<'_>) {
    object.number("userId", entry.user_id.get());
    match entry.subscription_id {
        Some(id) => object.number("subscriptionId", id.get()),
        None => object.null("subscriptionId"),
    }
    object.number("nodeProtocolId", entry.node_protocol_id.get());
    object.number("bytesUp", entry.bytes_up.get());
    object.number("bytesDown", entry.bytes_down.get());
    object.text("recordedAt", &entry.recorded_at.to_string());
}

impl HttpBody for Usage {
    fn from_json(json: &[u8]) -> Result<Self, FieldError> {
        let members: Members<'_> = body(json)?;
        Ok(Self { entries: items("entries", &members.entries, read_entry)? })
    }

    fn to_json(&self) -> Result<Vec<u8>, FieldError> {
        for (index, entry) in self.entries.iter().enumerate() {
            check_bytes(entry.bytes_up, entry.bytes_down).map_err(|error| error.in_item("entries", index))?;
        }
        Ok(ObjectWriter::body(|object| {
            object.list("entries", |list| {
                for entry in &self.entries {
                    list.object(|object| write_entry(entry, object));
                }
            });
        }))
    }
}
