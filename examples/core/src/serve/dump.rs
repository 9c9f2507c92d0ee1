//! The whole state as JSON, for foreign test runners. Byte counters are decimal texts, as JavaScript rounds numbers.

use crate::core_driver::Role;
use core_node_proto::Instant;
use core_node_proto::core::{AddressRow, NodeRecord, Tables, Traffic, UsageKey};
use core_node_proto::message::{HttpBody as _, NodeStats, RuntimeStatus};
use core_node_proto::value::{Address, Timestamp, UserId};
use serde_json::{Map, Value, json};

/// Returns the state.
pub(super) fn dump(role: &Role, now: Instant) -> Value {
    let (core, tables) = (&role.core, &role.tables);
    let at = role.clock.read();
    json!({
        "now": at.to_string(),
        "revision": core.published().common().revision().get(),
        "nodes": map(tables.nodes.iter().map(|(id, record)| (id.to_string(), node(record)))),
        "usageRows": usage(tables),
        "subscriptions": subscriptions(role),
        "outbounds": outbounds(role),
        "sessionEvents": tables.sessions,
        "userIps": addresses(tables),
        "onlineKeys": map(core.online(now).into_iter().map(|(key, left)| {
            let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            (key.to_string(), text(at.saturating_add_milliseconds(left)))
        })),
        "events": role.journal.iter().map(|(user, at)| {
            json!({"type": "user.online", "userId": user.get(), "at": at.to_string()})
        }).collect::<Vec<_>>(),
        "stats": map(tables.nodes.keys().filter_map(|id| {
            let latest = core.stats(id)?;
            Some((id.to_string(), stats(&latest.stats, latest.received_at)))
        })),
        "skipped": core.skipped(),
        "replays": core.replays(),
    })
}

fn map(members: impl Iterator<Item = (String, Value)>) -> Value {
    Value::Object(members.collect::<Map<_, _>>())
}

fn text(value: impl ToString) -> Value {
    Value::String(value.to_string())
}

fn node(record: &NodeRecord) -> Value {
    let error = record.last_error.as_ref().and_then(|error| {
        let mut members: Map<String, Value> = serde_json::from_slice(&error.to_json().ok()?).ok()?;
        for name in ["code", "details"] {
            members.entry(name).or_insert(Value::Null);
        }
        Some(members)
    });
    json!({
        "nodeId": record.id.number(),
        "name": record.name,
        "ip": record.ip.to_string(),
        "port": record.port,
        "region": record.region,
        "domain": record.domain,
        "revision": record.revision.map(|revision| revision.get()),
        "nodeStatus": record.node_status.as_str(),
        "syncStatus": record.sync_status.as_str(),
        "lastSeenAt": record.last_seen_at.map(|at| at.to_string()),
        "lastError": error,
    })
}

fn usage(tables: &Tables) -> Vec<Value> {
    let row = |(key, traffic): (&UsageKey, &Traffic)| {
        let mut row = json!({
            "nodeId": key.node_id.number(),
            "userId": key.user_id.get(),
            "subscriptionId": key.subscription_id.map(|id| id.get()),
            "nodeProtocolId": key.node_protocol_id.get(),
            "minute": key.minute.to_string(),
        });
        count(&mut row, *traffic);
        row
    };
    tables.usage.iter().map(row).collect()
}

fn subscriptions(role: &Role) -> Value {
    map(role.core.directory().subscriptions().map(|(id, user)| {
        let mut row = json!({"userId": user.get()});
        count(&mut row, role.tables.subscriptions.get(&id).copied().unwrap_or_default());
        (id.to_string(), row)
    }))
}

fn outbounds(role: &Role) -> Value {
    map(role.core.directory().outbounds().map(|(node, tag)| {
        let mut row = json!({"nodeId": node.number(), "tag": tag});
        let traffic = role.tables.outbounds.get(&(node.clone(), tag.into())).copied();
        count(&mut row, traffic.unwrap_or_default());
        (format!("{node}/{tag}"), row)
    }))
}

fn count(row: &mut Value, traffic: Traffic) {
    row["bytesUp"] = text(traffic.bytes_up.get());
    row["bytesDown"] = text(traffic.bytes_down.get());
}

fn addresses(tables: &Tables) -> Vec<Value> {
    let row = |((user, ip), row): (&(UserId, Address), &AddressRow)| {
        json!({
            "userId": user.get(), "ip": ip.to_string(),
            "firstSeenAt": row.first_seen_at.to_string(), "lastSeenAt": row.last_seen_at.to_string(),
        })
    };
    tables.addresses.iter().map(row).collect()
}

fn stats(stats: &NodeStats, at: Timestamp) -> Value {
    let json = RuntimeStatus { at: Some(at), stats: stats.clone() }.to_json().unwrap_or_default();
    let mut members: Map<String, Value> = serde_json::from_slice(&json).unwrap_or_default();
    for name in ["system", "xray", "mtproto"] {
        members.entry(name).or_insert(Value::Null);
    }
    Value::Object(members)
}
