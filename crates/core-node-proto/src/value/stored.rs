//! Values in stored state: ids, revisions and counters as numbers, all others as their text.

use super::{
    Address, ByteCount, LinkId, LsId, NodeId, NodeProtocolId, NodeStatus, Revision, SessionEventType,
    SubscriptionId, SyncStatus, Timestamp, UserId, VpnProtocol,
};
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

/// Numbers whose constructor takes an `i64`.
macro_rules! read_as_number {
    ($($name:ident)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(i64::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    )*};
}

read_as_number! { UserId SubscriptionId NodeProtocolId LinkId LsId Revision }

/// Values that are their text, read by a function.
macro_rules! as_text {
    ($($name:ident by $read:expr;)*) => {$(
        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text: ::std::borrow::Cow<'de, str> = ::serde::Deserialize::deserialize(deserializer)?;
                $read(&text).map_err(::serde::de::Error::custom)
            }
        }
    )*};
}
#[cfg(feature = "core")]
pub(crate) use as_text;

as_text! {
    Timestamp by str::parse::<Timestamp>;
    Address by str::parse::<Address>;
    NodeStatus by NodeStatus::new;
    SyncStatus by SyncStatus::new;
    SessionEventType by SessionEventType::new;
    VpnProtocol by VpnProtocol::new;
    NodeId by NodeId::from_text;
}

impl Serialize for ByteCount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.get())
    }
}

impl<'de> Deserialize<'de> for ByteCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    fn comes_back<'a, T: Serialize + Deserialize<'a> + PartialEq + Debug>(value: &T, json: &'a str) {
        assert_eq!(serde_json::to_string(value).unwrap(), json);
        assert_eq!(&serde_json::from_str::<T>(json).unwrap(), value);
    }

    #[test]
    fn values_are_stored_as_they_are_written() {
        comes_back(&UserId::MAX, "2147483647");
        comes_back(&Revision::MIN, "0");
        comes_back(&ByteCount::MAX, "9223372036854775807");
        comes_back(&NodeId::new(7).unwrap(), r#""7""#);
        comes_back(&NodeId::from_text("fra-1").unwrap(), r#""fra-1""#);
        comes_back(&NodeStatus::ONLINE, r#""online""#);
        comes_back(&VpnProtocol::new("a\"b").unwrap(), r#""a\"b""#);
        comes_back(&"192.0.2.1".parse::<Address>().unwrap(), r#""192.0.2.1""#);
        let at = Timestamp::from_unix_milliseconds(1_893_553_445_678).unwrap();
        comes_back(&at, r#""2030-01-02T03:04:05.678Z""#);
    }

    #[test]
    fn a_stored_value_that_breaks_its_rule_is_refused() {
        assert!(serde_json::from_str::<UserId>("0").is_err());
        assert!(serde_json::from_str::<ByteCount>("9223372036854775808").is_err());
        assert!(serde_json::from_str::<Timestamp>(r#""today""#).is_err());
    }
}
