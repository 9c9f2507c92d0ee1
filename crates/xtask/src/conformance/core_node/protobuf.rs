//! Requests over gRPC from their JSON form, by the numbers and types of the recommended schema, with any value that a
//! field can carry, right or wrong.

use anyhow::{anyhow, bail};
use serde_json::Value;

/// A field: its name, number and type.
struct Field(&'static str, u64, Type);

enum Type {
    Text,
    Integer,
    Double,
    One(&'static [Field]),
    Many(&'static [Field]),
}

use Type::{Double, Integer, Many, One, Text};

const HEARTBEAT: &[Field] = &[Field("authKey", 1, Text), Field("revision", 2, Integer), Field("ip", 3, Text)];
const USAGE: &[Field] = &[Field("authKey", 1, Text), Field("entries", 2, Many(USAGE_ENTRY))];
const USAGE_ENTRY: &[Field] = &[
    Field("userId", 1, Integer),
    Field("subscriptionId", 2, Integer),
    Field("nodeProtocolId", 3, Integer),
    Field("bytesUp", 4, Integer),
    Field("bytesDown", 5, Integer),
    Field("recordedAt", 6, Text),
];
const OUTBOUND: &[Field] = &[Field("authKey", 1, Text), Field("items", 2, Many(OUTBOUND_ITEM))];
const OUTBOUND_ITEM: &[Field] =
    &[Field("tag", 1, Text), Field("bytesUp", 2, Integer), Field("bytesDown", 3, Integer)];
const CONFIG: &[Field] = &[Field("authKey", 1, Text)];
const APPLIED: &[Field] = &[Field("authKey", 1, Text), Field("revision", 2, Integer)];
const STATS: &[Field] = &[
    Field("authKey", 1, Text),
    Field("system", 2, One(SYSTEM)),
    Field("xray", 3, One(XRAY)),
    Field("mtprotoJson", 4, Text),
];
const SYSTEM: &[Field] = &[
    Field("uptimeSeconds", 1, Integer),
    Field("cpuPercent", 2, Double),
    Field("cpuCores", 3, Integer),
    Field("ramUsed", 4, Integer),
    Field("ramTotal", 5, Integer),
    Field("diskUsed", 6, Integer),
    Field("diskTotal", 7, Integer),
    Field("netRxPerSec", 8, Double),
    Field("netTxPerSec", 9, Double),
    Field("netRxTotal", 10, Integer),
    Field("netTxTotal", 11, Integer),
];
const XRAY: &[Field] = &[Field("running", 1, Integer), Field("uptimeSeconds", 2, Integer)];
const ONLINE: &[Field] = &[Field("authKey", 1, Text), Field("users", 2, Many(ONLINE_USER))];
const ONLINE_USER: &[Field] =
    &[Field("userId", 1, Integer), Field("nodeProtocolId", 2, Integer), Field("ips", 3, Many(ONLINE_IP))];
const ONLINE_IP: &[Field] = &[Field("ip", 1, Text), Field("lastSeen", 2, Text)];

/// Writes the request of a method.
pub(super) fn request(method: &str, message: &Value) -> anyhow::Result<Vec<u8>> {
    let fields = match method {
        "Heartbeat" => HEARTBEAT,
        "ReportUsage" => USAGE,
        "ReportOutboundUsage" => OUTBOUND,
        "GetLatestConfig" => CONFIG,
        "ConfirmConfigApplied" => APPLIED,
        "ReportNodeStats" => STATS,
        "ReportOnlineUsers" => ONLINE,
        other => bail!("a message of the unknown method {other}"),
    };
    write(message, fields)
}

fn write(message: &Value, fields: &[Field]) -> anyhow::Result<Vec<u8>> {
    let members = message.as_object().ok_or_else(|| anyhow!("a message that is no object"))?;
    if let Some(name) = members.keys().find(|name| fields.iter().all(|field| field.0 != **name)) {
        bail!("a message with the unknown field {name}");
    }
    let mut bytes = Vec::new();
    for Field(name, number, kind) in fields {
        let Some(value) = members.get(*name).filter(|value| !value.is_null()) else { continue };
        let wrong = || anyhow!("a message with {name} {value}");
        match kind {
            Text => push(&mut bytes, *number, value.as_str().ok_or_else(wrong)?.as_bytes()),
            Integer => {
                let integer = value.as_i64().or(value.as_bool().map(i64::from));
                varint(&mut bytes, number << 3);
                varint(&mut bytes, integer.ok_or_else(wrong)?.cast_unsigned());
            }
            Double => {
                varint(&mut bytes, number << 3 | 1);
                bytes.extend(value.as_f64().ok_or_else(wrong)?.to_le_bytes());
            }
            One(fields) => push(&mut bytes, *number, &write(value, fields)?),
            Many(fields) => {
                for item in value.as_array().ok_or_else(wrong)? {
                    push(&mut bytes, *number, &write(item, fields)?);
                }
            }
        }
    }
    Ok(bytes)
}

fn push(bytes: &mut Vec<u8>, number: u64, content: &[u8]) {
    varint(bytes, number << 3 | 2);
    varint(bytes, content.len() as u64);
    bytes.extend(content);
}

fn varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
