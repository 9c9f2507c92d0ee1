//! Session events.

use super::FieldError;
use super::json::{HttpBody, List, ObjectWriter, body, items, members, optional, required};
use crate::json::Scalar;
use crate::value::{Address, SessionEventType, Timestamp, UserId, VpnProtocol};

/// A batch of session events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct SessionEvents {
    /// The events.
    pub events: Vec<SessionEvent>,
}

/// A user came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct SessionEvent {
    /// The user.
    pub user_id: UserId,
    /// What the session runs over.
    pub protocol: VpnProtocol,
    /// What happened.
    pub event_type: SessionEventType,
    /// When.
    pub occurred_at: Timestamp,
    /// The user's address.
    pub ip_address: Option<Address>,
}

members! {
    struct Members<'a> {
        "events" events: List<EventMembers<'a>>,
    }
}

members! {
    struct EventMembers<'a> {
        "userId" user_id: Scalar<'a>,
        "protocol" protocol: Scalar<'a>,
        "eventType" event_type: Scalar<'a>,
        "occurredAt" occurred_at: Scalar<'a>,
        "ipAddress" ip_address: Scalar<'a>,
    }
}

fn read_event(members: &EventMembers<'_>) -> Result<SessionEvent, FieldError> {
    Ok(SessionEvent {
        user_id: required("userId", &members.user_id, |number| UserId::new(number.whole()?))?,
        protocol: required("protocol", &members.protocol, |text| VpnProtocol::new(text.text()?))?,
        event_type: required("eventType", &members.event_type, |text| SessionEventType::new(text.text()?))?,
        occurred_at: required("occurredAt", &members.occurred_at, |at| at.text()?.parse())?,
        ip_address: optional("ipAddress", &members.ip_address, |ip| ip.text()?.parse())?,
    })
}

fn write_event(event: &SessionEvent, object: &mut ObjectWriter<'_>) {
    object.number("userId", event.user_id.get());
    object.text("protocol", event.protocol.as_str());
    object.text("eventType", event.event_type.as_str());
    object.text("occurredAt", &event.occurred_at.to_string());
    object.optional_text("ipAddress", event.ip_address.map(|ip| ip.to_string()).as_deref());
}

impl HttpBody for SessionEvents {
    fn from_json(json: &[u8]) -> Result<Self, FieldError> {
        let members: Members<'_> = body(json)?;
        Ok(Self { events: items("events", &members.events, read_event)? })
    }

    fn to_json(&self) -> Result<Vec<u8>, FieldError> {
        Ok(ObjectWriter::body(|object| {
            object.list("events", |list| {
                for event in &self.events {
                    list.object(|object| write_event(event, object));
                }
            });
        }))
    }
}
