//! How MTProto inbounds are: the JSON text in a report of statistics. §10.10.

use crate::json::{MAX_JSON_DEPTH, Name, Scalar, is_too_deep};
use crate::value::ValueError;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

/// The statuses of a node's MTProto inbounds, by tag.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MtProtoStatuses(BTreeMap<String, MtProtoStatus>);

impl MtProtoStatuses {
    /// Returns none.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Sets the status of an inbound; returns the one it replaces.
    pub fn insert(&mut self, tag: impl Into<String>, status: MtProtoStatus) -> Option<MtProtoStatus> {
        self.0.insert(tag.into(), status)
    }

    /// Returns the status of an inbound.
    #[must_use]
    pub fn get(&self, tag: &str) -> Option<&MtProtoStatus> {
        self.0.get(tag)
    }

    /// Returns all of them, sorted by tag.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &MtProtoStatus)> {
        self.0.iter().map(|(tag, status)| (&**tag, status))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the text. A blank one equals `{}`; of a repeated tag the last counts.
    ///
    /// # Errors
    /// [`ValueError::NotJson`], also for an inbound whose status is no object, and [`ValueError::TooDeep`].
    pub fn from_json(text: &str) -> Result<Self, ValueError> {
        if text.trim_ascii().is_empty() {
            return Ok(Self::new());
        }
        if is_too_deep(text.as_bytes()) {
            return Err(ValueError::TooDeep(MAX_JSON_DEPTH));
        }
        serde_json::from_str(text).map(Self).map_err(|_| ValueError::NotJson)
    }

    /// Writes the text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).expect("texts and numbers are JSON")
    }
}

/// How one MTProto inbound is. Nothing is certain about its members: those of these names with another kind of value
/// are among the [`others`](Self::others), and nothing that was read is lost but nulls of these names.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct MtProtoStatus {
    /// Whether the proxy runs.
    pub running: Option<bool>,
    /// How long it has been running, in seconds.
    pub uptime_seconds: Option<u64>,
    /// How many connections there were.
    pub connections_total: Option<u64>,
    /// How many of them were refused.
    pub connections_bad_total: Option<u64>,
    /// How many connections there are.
    pub current_connections: Option<u64>,
    /// How many users are configured.
    pub configured_users: Option<u64>,
    /// What is wrong.
    pub error: Option<String>,
    others: Vec<(Box<str>, Box<RawValue>)>,
}

impl MtProtoStatus {
    /// Returns the members that are not known here in their order, then the known ones with another kind of value:
    /// names, and values as JSON texts.
    pub fn others(&self) -> impl Iterator<Item = (&str, &str)> {
        self.others.iter().map(|(name, value)| (&**name, value.get()))
    }

    /// Takes a member of a known name, or keeps it if its value is of another kind.
    fn take(&mut self, name: &str, value: &RawValue) {
        // Text with a lone surrogate is JSON, too, but no text here.
        let scalar = serde_json::from_str::<Scalar<'_>>(value.get()).unwrap_or(Scalar::Other);
        let number = |value: &Scalar<'_>| u64::try_from(value.whole().ok()?).ok();
        let is_taken = match name {
            "running" => take(&mut self.running, &scalar, |value| value.boolean().ok()),
            "uptimeSeconds" => take(&mut self.uptime_seconds, &scalar, number),
            "connectionsTotal" => take(&mut self.connections_total, &scalar, number),
            "connectionsBadTotal" => take(&mut self.connections_bad_total, &scalar, number),
            "currentConnections" => take(&mut self.current_connections, &scalar, number),
            "configuredUsers" => take(&mut self.configured_users, &scalar, number),
            _ => take(&mut self.error, &scalar, |value| value.text().ok().map(str::to_owned)),
        };
        if !is_taken {
            self.others.push((name.into(), value.to_owned()));
        }
    }
}

const KNOWN: [&str; 7] = [
    "running",
    "uptimeSeconds",
    "connectionsTotal",
    "connectionsBadTotal",
    "currentConnections",
    "configuredUsers",
    "error",
];

fn take<T>(member: &mut Option<T>, scalar: &Scalar<'_>, read: impl FnOnce(&Scalar<'_>) -> Option<T>) -> bool {
    *member = read(scalar);
    member.is_some() || scalar.is_absent()
}

impl PartialEq for MtProtoStatus {
    fn eq(&self, other: &Self) -> bool {
        self.running == other.running
            && self.uptime_seconds == other.uptime_seconds
            && self.connections_total == other.connections_total
            && self.connections_bad_total == other.connections_bad_total
            && self.current_connections == other.current_connections
            && self.configured_users == other.configured_users
            && self.error == other.error
            && self.others().eq(other.others())
    }
}

impl fmt::Debug for MtProtoStatus {
    /// Hides the error and names the other members without their values: they may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MtProtoStatus")
            .field("running", &self.running)
            .field("uptime_seconds", &self.uptime_seconds)
            .field("connections_total", &self.connections_total)
            .field("connections_bad_total", &self.connections_bad_total)
            .field("current_connections", &self.current_connections)
            .field("configured_users", &self.configured_users)
            .field("error_bytes", &self.error.as_ref().map(String::len))
            .field("others", &self.others().map(|(name, _)| name).collect::<Vec<_>>())
            .finish()
    }
}

impl<'de> Deserialize<'de> for MtProtoStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = MtProtoStatus;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MtProtoStatus, A::Error> {
                let mut status = MtProtoStatus::default();
                let mut known: [Option<&RawValue>; KNOWN.len()] = [None; KNOWN.len()];
                while let Some(Name(name)) = map.next_key()? {
                    let value: &RawValue = map.next_value()?;
                    match KNOWN.iter().position(|known| *known == name) {
                        // Of equal names the last counts.
                        Some(place) => known[place] = Some(value),
                        None => status.others.push(((*name).into(), value.to_owned())),
                    }
                }
                for (name, value) in KNOWN.into_iter().zip(known) {
                    if let Some(value) = value {
                        status.take(name, value);
                    }
                }
                Ok(status)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl Serialize for MtProtoStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(running) = self.running {
            map.serialize_entry("running", &running)?;
        }
        for (name, number) in [
            ("uptimeSeconds", self.uptime_seconds),
            ("connectionsTotal", self.connections_total),
            ("connectionsBadTotal", self.connections_bad_total),
            ("currentConnections", self.current_connections),
            ("configuredUsers", self.configured_users),
        ] {
            if let Some(number) = number {
                map.serialize_entry(name, &number)?;
            }
        }
        if let Some(error) = &self.error {
            map.serialize_entry("error", error)?;
        }
        for (name, value) in &self.others {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_text_has_no_inbound_and_a_broken_one_is_refused() {
        for text in ["", " \n", "{}"] {
            assert!(MtProtoStatuses::from_json(text).unwrap().is_empty());
        }
        for text in ["null", "[]", "{", r#"{"a":1}"#, r#"{"a":null}"#] {
            assert_eq!(MtProtoStatuses::from_json(text), Err(ValueError::NotJson), "{text}");
        }
        let deep = format!("{{\"a\":{{\"b\":{}{}}}}}", "[".repeat(63), "]".repeat(63));
        assert_eq!(MtProtoStatuses::from_json(&deep), Err(ValueError::TooDeep(64)));
    }

    #[test]
    fn known_members_are_read_and_all_others_kept() {
        let text = r#"{"mt":{"mode":{"fast":true},"running":true,"uptimeSeconds":5.0,"connectionsTotal":7,
            "connectionsBadTotal":1,"currentConnections":2,"configuredUsers":3,"error":"x","secret":"s3"}}"#;
        let statuses = MtProtoStatuses::from_json(text).unwrap();
        let status = statuses.get("mt").unwrap();
        assert_eq!(
            (status.running, status.uptime_seconds, status.connections_total),
            (Some(true), Some(5), Some(7))
        );
        let counts = (status.connections_bad_total, status.current_connections, status.configured_users);
        assert_eq!(counts, (Some(1), Some(2), Some(3)));
        assert_eq!(status.error.as_deref(), Some("x"));
        let others: Vec<_> = status.others().collect();
        assert_eq!(others, [("mode", r#"{"fast":true}"#), ("secret", r#""s3""#)]);
        assert_eq!(MtProtoStatuses::from_json(&statuses.to_json()), Ok(statuses.clone()));
        assert!(!format!("{statuses:?}").contains("s3"));
    }

    #[test]
    fn a_known_member_of_another_kind_is_kept_as_it_is_and_null_is_absent() {
        let text = r#"{"a":{"running":"yes","uptimeSeconds":1.5,"configuredUsers":-1,"error":null}}"#;
        let statuses = MtProtoStatuses::from_json(text).unwrap();
        let status = statuses.get("a").unwrap();
        assert_eq!((status.running, status.uptime_seconds, status.error.clone()), (None, None, None));
        assert_eq!(statuses.to_json(), r#"{"a":{"running":"yes","uptimeSeconds":1.5,"configuredUsers":-1}}"#);
    }

    #[test]
    fn of_a_repeated_member_the_last_counts_also_if_its_kind_is_another() {
        let written = |text| MtProtoStatuses::from_json(text).unwrap().to_json();
        assert_eq!(written(r#"{"a":{"error":true,"error":"t"}}"#), r#"{"a":{"error":"t"}}"#);
        assert_eq!(written(r#"{"a":{"error":"t","error":true}}"#), r#"{"a":{"error":true}}"#);
        assert_eq!(written(r#"{"a":{"error":"t","error":null}}"#), r#"{"a":{}}"#);
        assert_eq!(written(r#"{"a":{"error":"\ud800"}}"#), r#"{"a":{"error":"\ud800"}}"#);
    }

    #[test]
    fn the_tags_are_sorted_and_the_last_of_equal_ones_counts() {
        let statuses = MtProtoStatuses::from_json(r#"{"b":{},"a":{},"b":{"running":false}}"#).unwrap();
        assert_eq!(statuses.iter().map(|(tag, _)| tag).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(statuses.to_json(), r#"{"a":{},"b":{"running":false}}"#);
    }
}
